import type { AcmeSession } from "../acme/session.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import type { AppError } from "../core/errors.ts";
import type { Breaker } from "../limits/breaker.ts";
import type { Ledger } from "../limits/ledger.ts";
import type { PatiencePolicy } from "../limits/patience.ts";
import type { JobContext } from "../queue/consumer.ts";
import type { OrderJob } from "../queue/names.ts";
import type { Producer } from "../queue/producer.ts";
import type { Challenges } from "../store/challenges.ts";
import type { SettlementDeps } from "../store/settlement.ts";

/** One CA's account: its session, which may have to be registered first, and what it may spend. */
export interface Account {
  /** The CA's name in the configuration. */
  name: string;
  directory: string;
  ledger: Ledger;
  breaker: Breaker;
  session(): Promise<AcmeSession>;
  /** The profile to order it with, if any; throws `attention` where the CA does not offer that (see acme/profiles.ts). */
  profileFor(record: Pick<CertificateRecord, "spec">): Promise<string | undefined>;
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

/** The CA that takes over from one at which a certificate would wait too long. */
export interface Spill {
  /** Milliseconds; nothing spills when undefined. */
  after: number | undefined;
  /** The next CA in the order of preference; undefined for the last, and for a certificate that names its CA. */
  next(record: CertificateRecord, account: string): string | undefined;
}

/** What comes after issuance, for certificates that are deployed. */
export interface Onward {
  deploys(vipPort: number): boolean;
  advance(records: readonly CertificateRecord[]): Promise<void>;
}

export interface IssuanceDeps extends SettlementDeps {
  account: Account;
  stops: AccountStops;
  responders: ResponderDirectory;
  challenges: Challenges;
  producer: Producer;
  spill: Spill;
  onward: Onward;
  /** Whether its names still lead here, where that was looked at before. */
  leadsHere(record: CertificateRecord): Promise<boolean>;
  /** Delays after failed attempts, milliseconds. */
  retry: readonly number[];
  patience: PatiencePolicy;
  /** A line for the log that a person greps. */
  tell: (line: string) => void;
  /** Something that the operator has to know of at once, once. */
  warn(record: CertificateRecord, subject: string, detail: string): Promise<void>;
}

/** What one turn of an order works with. */
export interface Turn {
  deps: IssuanceDeps;
  session: AcmeSession;
  record: CertificateRecord;
  job: OrderJob;
  context: JobContext<OrderJob>;
}
