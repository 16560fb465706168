import type { CertificateRecord } from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import type { Producer } from "../queue/producer.ts";
import type { CertificateStore } from "../store/certificates.ts";
import type { CertificateFiles } from "../store/files.ts";
import type { ImportFiles } from "../store/import-files.ts";
import type { ImportStore } from "../store/imports.ts";
import type { Removals } from "../store/removals.ts";
import type { Renewals } from "../store/renewals.ts";
import type { Deployments, Enqueuer } from "./enqueue.ts";

/** What putting back from the files, and looking for lost jobs, works with. */
export interface RestoreDeps {
  certificates: CertificateStore;
  imports: ImportStore;
  certificateFiles: CertificateFiles;
  importFiles: ImportFiles;
  removals: Removals;
  renewals: Renewals;
  enqueuer: Enqueuer;
  producer: Producer;
  rollouts: Deployments;
  /** Goes on with taking a removed certificate away from its nodes. */
  takeAway(record: CertificateRecord): Promise<void>;
  clock: Clock;
  defaultAccount: string;
  knownAccounts: readonly string[];
  /** Counts what certificates have taken of the CAs' limits, as far as that still counts. */
  ledgers(): { add(record: CertificateRecord): void; write(): Promise<void> };
}
