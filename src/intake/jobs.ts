import { accountOf, type CertificateRecord, isIssued } from "../core/certificate.ts";
import { chunked } from "../core/chunked.ts";
import type { RestoreDeps } from "./ports.ts";

const CHUNK = 1_000;

/** Statuses in which a certificate may be on its way through an order. */
export const IN_ORDER = ["queued", "checking", "ordering", "validating", "finalizing", "waiting"] as const;

/**
 * Gives a job to every certificate that is ordered and has none, as after a process that died between the index and the
 * queue. Reads only what is not settled.
 */
export async function ensureJobs(deps: RestoreDeps): Promise<number> {
  let added = 0;
  for (const status of IN_ORDER)
    for await (const chunk of chunked(deps.certificates.all(status), CHUNK))
      added += await addMissingJobs(deps, chunk);
  return added;
}

/** Gives a job to those of them that have none; what waits for its deployment is none of theirs. Returns how many. */
export async function addMissingJobs(
  deps: RestoreDeps,
  records: readonly CertificateRecord[],
): Promise<number> {
  const jobs = records
    .filter((record) => !isIssued(record))
    .map((record) => ({ ...record, account: accountOf(record, deps.defaultAccount) }));
  const without = await deps.producer.withoutJob(jobs);
  const admissions = without.map(({ id, generation, account, spec, leaf, status, reason, until }) => ({
    id,
    generation,
    account,
    priority: spec.priority,
    renewal: leaf !== undefined,
    ...(status === "waiting" && reason !== "limit" && until !== undefined ? { at: until } : {}),
  }));
  await deps.producer.enqueue(admissions, deps.clock.now());
  return admissions.length;
}
