import { type CertificateRecord, isObtained, lookAt } from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import type { CertificateStore, Transition } from "../store/certificates.ts";
import { leafTime } from "../store/layout.ts";
import type { RenewalNote, Renewals } from "../store/renewals.ts";

/**
 * Another host, whose files told less, was first to put back what it has: the newest leaf stands, with all that goes
 * with it. Where no host has lost anything, no file is newer than the index.
 */
export async function restoreNewer(
  deps: { certificates: CertificateStore; clock: Clock },
  records: readonly CertificateRecord[],
  known: readonly (CertificateRecord | undefined)[],
): Promise<number> {
  let restored = 0;
  for (const [index, record] of records.entries()) {
    const before = known[index];
    if (before === undefined || record.leaf === undefined || !isNewer(record, before)) continue;
    // What was asked for after that, or stopped, stays so; the leaf is there all the same.
    const stopped = before.status === "paused" || before.status === "removed";
    const stays = stopped || (before.acceptedAt > record.acceptedAt && !isObtained(before));
    const { generation: _, ...leaf } = record.leaf;
    // It is not what the present generation is to obtain, though the two may have been counted alike.
    const change: Transition = stays
      ? { ...stateOf(before), leaf }
      : { ...stateOf(record), leaf: record.leaf };
    // By way of a transition, as imports may wait for it.
    const { ok } = await deps.certificates.transition(before.id, before.generation, change, deps.clock.now());
    if (!ok) continue;
    if (!stays) await deps.certificates.restore([record]);
    restored++;
  }
  return restored;
}

/** The file tells of a later leaf than the index. */
export function isNewer(record: CertificateRecord, before: CertificateRecord): boolean {
  return record.leaf?.serial !== before.leaf?.serial && leafTime(record) > leafTime(before);
}

function stateOf({ status, reason, detail, until, error, attempts }: CertificateRecord): Transition {
  return {
    status,
    attempts,
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
    ...(until === undefined ? {} : { until }),
    ...(error === undefined ? {} : { error }),
  };
}

/**
 * Another host, which has not asked the CA itself, was first to put a certificate back: what was planned here for the
 * same leaf stands.
 */
export async function restorePlans(
  { renewals, clock }: { renewals: Renewals; clock: Clock },
  records: readonly CertificateRecord[],
  known: readonly (CertificateRecord | undefined)[],
): Promise<void> {
  const notes = records.flatMap(({ id, leaf, schedule }, index): RenewalNote[] => {
    const before = known[index];
    if (!leaf || !schedule?.window || before?.leaf?.serial !== leaf.serial || before.schedule?.window)
      return [];
    const { serial, renewAt } = leaf;
    return [{ id, serial, renewAt, schedule, lookAt: lookAt({ leaf, schedule }) }];
  });
  await renewals.note(notes, clock.now());
}
