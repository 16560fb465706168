import { type CertificateRecord, isRenewable } from "../core/certificate.ts";
import type { CertificateStore } from "../store/certificates.ts";

/** Certificates asked for at once; the rest is due at the next look. */
const SLICE = 200;
/** Milliseconds after which one that was asked for, or cannot be now, is looked at again. */
const AGAIN = 86_400_000;

export interface RenewalDeps {
  certificates: Pick<CertificateStore, "dueForRenewal" | "postponeRenewal" | "present">;
  /** Queues an order of the same names. */
  enqueue: (records: readonly CertificateRecord[]) => Promise<void>;
}

/**
 * Queues what is due for renewal: one small read of one sorted set, however many certificates there are. One that has
 * failed follows the table of retries, and one that somebody has paused stays so; both are looked at again a day
 * later. Returns how many were queued.
 */
export async function renewDue({ certificates, enqueue }: RenewalDeps, now: number): Promise<number> {
  const ids = await certificates.dueForRenewal(now, SLICE);
  if (ids.length === 0) return 0;
  const due = (await certificates.present(ids)).filter(isRenewable);
  await enqueue(due);
  // After the queue has them: a process that dies in between finds them due again, and queues nothing twice.
  await certificates.postponeRenewal(ids, now + AGAIN);
  return due.length;
}
