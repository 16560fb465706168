import { type CertificateRecord, STATUSES, type Status } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import type { CertificateEvent } from "../store/record.ts";
import type { CertificateDetail } from "./schemas/certificates.ts";

const KNOWN: ReadonlySet<string> = new Set(STATUSES);
const FAILED: ReadonlySet<string> = new Set(["failed", "not served"]);
/** Codes of what only takes its time. */
const NO_FAILURE: ReadonlySet<string> = new Set(["rate_limited", "busy"]);
const ASKED = "asked to ";

/**
 * The statuses that it has come through since it was asked for last. `since`: when it came to the present one,
 * milliseconds since the epoch; not every status leaves an event. `events`: oldest first.
 */
export function stepsOf(
  { acceptedAt, status }: Pick<CertificateRecord, "acceptedAt" | "status">,
  events: readonly CertificateEvent[],
  since: number | undefined,
): CertificateDetail["steps"] {
  const steps: CertificateDetail["steps"] = [{ status: "queued", at: rfc3339(acceptedAt) }];
  const add = (next: Status | undefined, at: string): void => {
    if (next !== undefined && next !== steps.at(-1)?.status) steps.push({ status: next, at });
  };
  // Events tell whole seconds.
  const begun = Math.floor(acceptedAt / 1_000) * 1_000;
  for (const event of events) if (Date.parse(event.at) >= begun) add(statusOf(event), event.at);
  add(status, rfc3339(since ?? acceptedAt));
  return steps;
}

/** Those of earlier versions do not tell the status. */
function statusOf({ status, what }: CertificateEvent): Status | undefined {
  return status ?? (KNOWN.has(what) ? (what as Status) : undefined);
}

/** Newest first. */
export function failuresOf(events: readonly CertificateEvent[]): CertificateDetail["failures"] {
  return events
    .filter(({ what, code }) => FAILED.has(what) || (code !== undefined && !NO_FAILURE.has(code)))
    .map(({ at, what, detail = what, code }) => ({ at, ...(code === undefined ? {} : { code }), detail }))
    .reverse();
}

/** Who has asked for what, newest first, as the audit log has noted it with the certificate. */
export function requestsOf(events: readonly CertificateEvent[]): CertificateDetail["requests"] {
  return events
    .flatMap(({ at, what, by, detail }) =>
      by === undefined
        ? []
        : [
            {
              at,
              by,
              action: what.startsWith(ASKED) ? what.slice(ASKED.length) : what,
              ...(detail === undefined ? {} : { detail }),
            },
          ],
    )
    .reverse();
}
