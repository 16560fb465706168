import { type CertificateRecord, isRenewable, isRetriable } from "../core/certificate.ts";
import { usageError } from "../core/errors.ts";
import { Breaker } from "../limits/breaker.ts";
import type { House } from "./house.ts";

/** A certificate that may be renewed now; throws `paused`, `not_found` or `on_its_way` (usage). */
export function renewable(record: CertificateRecord): CertificateRecord {
  const [name] = record.spec.names;
  if (record.status === "paused")
    throw usageError("paused", `${name} is paused; certherd resume ${name} comes first.`);
  if (record.status === "removed") throw usageError("not_found", `${name} was removed.`);
  if (isRenewable(record) || record.status === "attention") return record;
  throw usageError("on_its_way", `${name} is on its way already (${record.status}): certherd show ${name}`);
}

/** What was stopped for all certificates of an account goes on: a person says that it is mended. */
export async function reopenAccounts({ config, stops, redis }: House): Promise<void> {
  for (const { name } of config.cas) {
    await stops.lift(name);
    await new Breaker(redis, name).close();
  }
}

/** Tries those that have failed again, on disk first; returns how many these are. */
export async function retryFailed(house: House, records: readonly CertificateRecord[]): Promise<number> {
  const failed = records.filter((record) => isRetriable(record));
  if (failed.length === 0) return 0;
  const at = house.clock.now();
  const specs = failed.map(({ spec }) => spec);
  await house.importFiles.appendSingle(
    specs.map((spec) => ({ line: 0, at, spec })),
    at,
  );
  await house.enqueuer.enqueue(specs);
  return failed.length;
}
