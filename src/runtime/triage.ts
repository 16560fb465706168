import type { CaConfig } from "../config/load.ts";
import type { CertificateSpec } from "../core/certificate.ts";
import { asAppError } from "../core/errors.ts";
import type { NameVerdict, Verdict } from "../preflight/verdict.ts";
import { Checks } from "./check.ts";
import type { House } from "./house.ts";

export interface Triaged {
  spec: CertificateSpec;
  verdict: Verdict;
  /** Name by name, as each may have another record to set. */
  names: NameVerdict[];
}

/** Certificates looked at at once; the names in them are bounded by the checks themselves. */
const AT_ONCE = 64;

/** A port that nobody can open is the trouble of its own rows. */
async function look(
  checks: Checks,
  spec: CertificateSpec,
  ca: CaConfig,
): Promise<Pick<Triaged, "verdict" | "names">> {
  try {
    if (spec.challenge === "http-01") await checks.ready(spec.acmePort);
  } catch (thrown) {
    const { disposition, code, message } = asAppError(thrown);
    if (disposition !== "node") throw thrown;
    return { verdict: { kind: "node", code, detail: message }, names: [] };
  }
  return await checks.triage({ spec }, ca);
}

/**
 * Looks at all of them, and hands out each as it is known. Asks no CA for anything but its directory. `signal` ends what
 * is under way; it rejects then.
 */
export async function triage(
  house: House,
  specs: readonly CertificateSpec[],
  each: (triaged: Triaged) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const checks = new Checks(house);
  const end = (): void => checks.close();
  signal?.addEventListener("abort", end, { once: true });
  const { cas } = house.config;
  const waiting = specs.values();
  const work = async (): Promise<void> => {
    for (const spec of waiting) {
      signal?.throwIfAborted();
      const ca = cas.find(({ name }) => name === spec.ca) ?? cas[0];
      await each({ spec, ...(await look(checks, spec, ca)) });
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } finally {
    signal?.removeEventListener("abort", end);
    checks.close();
  }
}
