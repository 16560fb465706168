import { rfc3339 } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import type { Admission, Pause } from "../limits/ledger.ts";

/** Why a certificate waits, in a sentence. */
export function waitingFor(
  refusal: Extract<Admission, { kind: "orders" | "room" }>,
  ca: string,
  now: number,
): string {
  const until = rfc3339(now + refusal.wait);
  if (refusal.kind === "orders") return `${ca} allows no more new orders until ${until}.`;
  const what =
    refusal.limit === "certificatesPerDomain"
      ? `certificates for names under ${refusal.subject}`
      : "certificates for exactly these names";
  const before = refusal.ahead === 0 ? "" : `, with ${refusal.ahead} before it`;
  return `${ca} allows no more ${what} now; its turn is at ${until}${before}.`;
}

/** Why a name waits that has failed too often, in a sentence. */
export function tooManyFailures(name: string, ca: string, until: number): string {
  return `${name} has failed as often as ${ca} allows; it is asked again after ${rfc3339(until)}.`;
}

/** The CA has paused a name of the certificate: nothing is asked for it until a person has ended that. */
export function pausedError(name: string, { detail, url }: Pause): AppError {
  return new AppError(detail, {
    code: "paused_by_ca",
    disposition: "attention",
    type: "urn:ietf:params:acme:error:rateLimited",
    identifier: name,
    url,
  });
}
