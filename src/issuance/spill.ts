import { type CertificateRecord, holderOf } from "../core/certificate.ts";
import type { IssuanceDeps } from "./ports.ts";

/**
 * Hands a certificate over to the next CA, where the configuration wants that. The index first: a job that comes back
 * after a crash finds that another CA has it, and whoever looks for certificates without a job asks that one.
 */
export async function spilled(deps: IssuanceDeps, record: CertificateRecord, why: string): Promise<boolean> {
  const { account, certificates, producer, clock, spill } = deps;
  const next = spill.after === undefined ? undefined : spill.next(record, account.name);
  if (next === undefined) return false;
  await account.ledger.release(holderOf(record));
  const { id, generation } = record;
  const detail = `${why} Ordered from ${next} instead.`;
  const change = { status: "queued", account: next, event: { what: "spilled", detail } } as const;
  const { ok } = await certificates.transition(id, generation, change, clock.now());
  if (ok)
    await producer.enqueue([{ id, generation, account: next, priority: record.spec.priority }], clock.now());
  return true;
}
