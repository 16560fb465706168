import type { HttpSettings } from "../config/http.ts";
import type { CertificateRecord, CertificateSpec } from "../core/certificate.ts";
import type { AppError } from "../core/errors.ts";
import type { RevocationReason } from "../core/revocation.ts";
import type { ImportDeps } from "../intake/import.ts";
import type { CaLimits } from "../limits/table.ts";
import type { Verdict } from "../preflight/verdict.ts";
import type { Producer } from "../queue/producer.ts";
import type { Alive } from "../store/alive.ts";
import type { AuditLog } from "../store/audit.ts";
import type { CertificateStore } from "../store/certificates.ts";
import type { NotifyMode } from "../store/imports.ts";
import type { Redis } from "../store/redis.ts";
import type { DetailDeps } from "./detail.ts";
import type { DoneBy } from "./import-progress.ts";
import type { OverviewDeps } from "./overview/overview.ts";
import type { Removal } from "./schemas/actions.ts";
import type { Limits } from "./schemas/limits.ts";
import type { TokenBook } from "./tokens.ts";

export interface Reopening {
  reopen: boolean;
}

/** What may be done about one certificate; the same as the commands do. Each throws an AppError that says why not. */
export interface Actions {
  renew(record: CertificateRecord): Promise<void>;
  /** `reopen`: accounts that were stopped go on too, with all that they hold up. */
  retry(record: CertificateRecord, request: Reopening): Promise<void>;
  /** The same for several at once: for each its error, or undefined. */
  renewAll(records: readonly CertificateRecord[]): Promise<(AppError | undefined)[]>;
  retryAll(records: readonly CertificateRecord[], request: Reopening): Promise<(AppError | undefined)[]>;
  /** False when it was paused already. */
  pause(record: CertificateRecord): Promise<boolean>;
  /** Undefined when it was not paused. */
  resume(record: CertificateRecord): Promise<"queued" | "issued" | undefined>;
  revoke(
    record: CertificateRecord,
    request: { reason: RevocationReason; replace: boolean },
  ): Promise<{ serial: string }>;
  /** `wait`: for a while, for its nodes to let go of it. */
  remove(record: CertificateRecord, request: { revoke: boolean; wait: boolean }): Promise<Removal>;
}

export interface Foresight {
  add(spec: CertificateSpec): void;
  /** When it would all be ordered, as the JSON text of `certherd plan`, in pieces. */
  plan(): Promise<AsyncIterable<string>>;
}

export interface Triaged {
  spec: CertificateSpec;
  verdict: Verdict;
}

export type Triage = (
  specs: readonly CertificateSpec[],
  each: (triaged: Triaged) => Promise<void>,
  signal: AbortSignal,
) => Promise<void>;

/** All that the API works with; whoever starts it owns these, and closes them. */
export interface ApiDeps {
  redis: Redis;
  certificates: CertificateStore;
  producer: Producer;
  alive: Alive;
  intake: ImportDeps;
  actions: Actions;
  /** How the CAs' limits stand, as the contract's document, with so many buckets of each account at most. */
  limits: (most: number) => Promise<Limits>;
  /** For what a person looks at first. */
  overview: Omit<OverviewDeps, "redis" | "clock" | "alive">;
  /** For all about one certificate. */
  detail: DetailDeps;
  /** Takes what would be asked for, as it comes. */
  foresight: () => Foresight;
  /** By when a certificate should be done; without it no import says when it ends. */
  doneBy?: DoneBy;
  /** Looks whether names lead here, and hands out each certificate as it is known; ends early when `signal` says so. */
  triage: Triage;
  audit: AuditLog;
  tokens: TokenBook;
  http: HttpSettings;
  /** What Certherd says of itself: its version, and the CAs in order. */
  about: { version: string; cas: readonly string[] };
  /** The accounts whose queues there are. */
  accounts: readonly string[];
  /** The limits of each of them. */
  caLimits: ReadonlyMap<string, CaLimits>;
  /** The names of the webhooks, each of which has a queue. */
  webhooks: readonly string[];
  /** The nodes that certificates are deployed to. */
  nodes: readonly string[];
  /** The folder of the web pages. */
  dashboard: string;
  /** A folder for what is gone with the request. */
  home: string;
  maxImportBytes: number;
  /** For imports that say nothing about it. */
  notify: NotifyMode;
  log: (line: string) => void;
}
