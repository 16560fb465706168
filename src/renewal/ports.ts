import type { CertificateRecord, IssuedLeaf } from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import type { CertificateStore } from "../store/certificates.ts";
import type { Renewals } from "../store/renewals.ts";
import type { Plan, Polled, RenewalPolicy } from "./policy.ts";

/** One that has a leaf. */
export type Obtained = CertificateRecord & { leaf: IssuedLeaf };

export interface RenewalDeps {
  certificates: Pick<CertificateStore, "present">;
  renewals: Renewals;
  clock: Clock;
  policy: RenewalPolicy;
  /** 0 to 1. */
  random: () => number;
  /** Asks the CA that a leaf is from what it suggests; undefined where there is no CA to be asked. */
  ask(record: CertificateRecord): Promise<Polled> | undefined;
  /** Puts what was chosen on disk. */
  keep(plans: readonly (Plan & { id: string; serial: string })[]): Promise<void>;
  /** Queues orders of the same names; the urgent ones go before all others. */
  enqueue(records: readonly CertificateRecord[], options: { urgent: boolean }): Promise<void>;
  /** Of those that the CAs were asked about, they want these replaced long before they would be renewed. */
  noteEarly(early: readonly CertificateRecord[], asked: readonly CertificateRecord[]): Promise<void>;
  /** Tells whoever is told of each, in one mail a person, in the words that `write` finds for those. */
  warn(
    records: readonly Obtained[],
    write: (records: readonly Obtained[]) => { title: string; detail: string },
  ): Promise<void>;
}
