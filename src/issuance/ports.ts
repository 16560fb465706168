import type { AcmeSession } from "../acme/session.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import type { AppError } from "../core/errors.ts";
import type { Ledger } from "../limits/ledger.ts";
import type { JobContext } from "../queue/consumer.ts";
import type { OrderJob } from "../queue/names.ts";
import type { Producer } from "../queue/producer.ts";
import type { CertificateStore } from "../store/certificates.ts";
import type { Challenges } from "../store/challenges.ts";
import type { CertificateFiles } from "../store/files.ts";

/** Who is told when a certificate settles, or the last one of an import. */
export interface SettlementListener {
  settled(record: CertificateRecord, info: { awaited: boolean }): Promise<void>;
  importEnded(importId: string): Promise<void>;
}

/** One CA's account: its session, which may have to be registered first, and what it may spend. */
export interface Account {
  /** The CA's name in the configuration. */
  name: string;
  directory: string;
  profile?: string | undefined;
  ledger: Ledger;
  session(): Promise<AcmeSession>;
  /**
   * The CA does not know the account of this session any more: the next session registers it again, once. False when
   * that has been tried.
   */
  renewSession(failed: AcmeSession): Promise<boolean>;
}

/** Whether the whole account is stopped, and why. */
export interface AccountStops {
  reason(account: string): Promise<AppError | undefined>;
  stop(account: string, error: AppError): Promise<void>;
}

/** Whether the http-01 answer of a certificate can be given at all. */
export interface ResponderDirectory {
  /** Makes sure that somebody listens on this port; throws an AppError of disposition `node` when nobody can. */
  ready(port: number): Promise<void>;
  /** Whether a responder was started after that moment, in milliseconds since the epoch. */
  begunSince(at: number): Promise<boolean>;
}

export interface IssuanceDeps {
  account: Account;
  stops: AccountStops;
  responders: ResponderDirectory;
  challenges: Challenges;
  certificates: CertificateStore;
  files: CertificateFiles;
  producer: Producer;
  listener: SettlementListener;
  clock: Clock;
  /** Delays after failed attempts, milliseconds. */
  retry: readonly number[];
  /** A line for the log that a person greps. */
  tell: (line: string) => void;
}

/** What one turn of an order works with. */
export interface Turn {
  deps: IssuanceDeps;
  session: AcmeSession;
  record: CertificateRecord;
  job: OrderJob;
  context: JobContext<OrderJob>;
}
