import type { AcmeSession } from "../acme/session.ts";
import type { CertificateRecord, IssuedLeaf, RenewalState } from "../core/certificate.ts";
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
  /** Whether the CA suggests when to renew (RFC 9773), and so is told what an order replaces. */
  suggestsRenewals(): Promise<boolean>;
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

/** Where the TXT of a name goes. */
export interface DnsPlace {
  provider: string;
  name: string;
  zone: string;
}

/** One TXT that answers a dns-01 challenge (RFC 8555 §8.4). */
export interface DnsAnswer extends DnsPlace {
  value: string;
}

/** What answers dns-01. */
export interface DnsChallenges {
  /** Milliseconds: how long name servers may take to have a record, and from one look to the next. */
  propagation: { timeout: number; every: number };
  /** Throws `dns_provider_missing` or `dns_delegation` (attention), `resolver_failed` (unavailable). */
  place(name: string): Promise<DnsPlace>;
  /** Notes what is about to be set, then sets it. It is removed at `until`, whatever happens, unless that is prolonged. */
  present(answers: readonly DnsAnswer[], until: number): Promise<void>;
  /** False when one of them is not there any more. */
  prolong(answers: readonly DnsAnswer[], until: number): Promise<boolean>;
  /** One look at every authoritative server: a sentence for each that has not got one of them. */
  missing(answers: readonly DnsAnswer[]): Promise<string[]>;
  /** They are needed no more, and are removed soon. */
  done(answers: readonly DnsAnswer[]): Promise<void>;
}

/** The CA that takes over from one at which a certificate would wait too long. */
export interface Spill {
  /** Milliseconds; nothing spills when undefined. */
  after: number | undefined;
  /** The next CA in the order of preference; undefined for the last, and for a certificate that names its CA. */
  next(record: CertificateRecord, account: string): string | undefined;
}

/** When a new leaf is to be renewed. */
export interface RenewalSchedule {
  /** Milliseconds since the epoch: where the CA suggests nothing else, and when it is asked for the first time. */
  first(
    leaf: Pick<IssuedLeaf, "notBefore" | "notAfter">,
    record: CertificateRecord,
    now: number,
  ): { renewAt: number; schedule: RenewalState };
  /** Whether the key of the certificate that is renewed is kept. */
  reuseKey: boolean;
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
  dns: DnsChallenges;
  producer: Producer;
  spill: Spill;
  renewals: RenewalSchedule;
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
