import type { CertificateRecord } from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import type { Producer } from "../queue/producer.ts";
import type { CertificateStore } from "../store/certificates.ts";
import type { CertificateFile, CertificateFiles } from "../store/files.ts";
import type { ImportFiles } from "../store/import-files.ts";
import type { ImportStore } from "../store/imports.ts";
import type { Redis } from "../store/redis.ts";
import type { Removals } from "../store/removals.ts";
import type { Report } from "./report.ts";

/** What taking in does for us: it knows how a certificate is put back. */
export interface Intake {
  toRecord(file: CertificateFile): CertificateRecord;
  isNewer(record: CertificateRecord, before: CertificateRecord): boolean;
  restoreMissing(missing: readonly CertificateRecord[]): Promise<number>;
  restoreNewer(
    records: readonly CertificateRecord[],
    known: readonly (CertificateRecord | undefined)[],
  ): Promise<number>;
  addMissingJobs(records: readonly CertificateRecord[]): Promise<number>;
  /** Takes up all of an import that is not answered, or these lines of it. */
  replay(importId: string, only?: ReadonlySet<string>): Promise<void>;
  /** Imports whose reader died, of those on this disk. */
  abandoned(): Promise<string[]>;
  importEnded(importId: string): Promise<void>;
}

/** What deploying does for us. */
export interface Deployment {
  /** What is to be done next: to bring it to that node, or (no node) to say that it is on all. Undefined for nothing. */
  next(record: CertificateRecord): { node?: string } | undefined;
  advance(records: readonly CertificateRecord[]): Promise<void>;
  takeAway(record: CertificateRecord): Promise<void>;
  /** Nodes in the record that are configured no more. */
  goneFrom(record: CertificateRecord): string[];
  /** Each place that this process reaches and whose target can tell: its name, and the stems of what is there. */
  present(): Iterable<{ place: string; stems: AsyncIterable<string> }>;
}

export interface ReconcileDeps {
  redis: Redis;
  clock: Clock;
  report: Report;
  certificates: CertificateStore;
  files: CertificateFiles;
  removals: Removals;
  imports: ImportStore;
  importFiles: ImportFiles;
  producer: Producer;
  intake: Intake;
  deployment: Deployment;
  /** Names of the configured CAs, the default one first. */
  accounts: readonly [string, ...string[]];
  /** Names of the configured nodes. */
  nodes: readonly string[];
  /** Frees what an order holds, but for what the CA may have counted. */
  release(account: string, holder: string): Promise<void>;
  /** Counts what restored certificates have taken of the limits; where Redis was lost. */
  ledgers?: { add(record: CertificateRecord): void; write(): Promise<void> };
  /** Several hosts have a store in common. */
  shared?: {
    /** Writes a certificate's files again from the store, if it has them; only tells so in a dry run. */
    recover(id: string, dryRun: boolean): Promise<boolean>;
  };
}

/** What one part leaves to those after it. */
export interface Known {
  /** Every certificate's present generation, those included that a dry run would have put back. */
  generations: Map<string, number>;
  /** Stems of their folders. */
  stems: Set<string>;
  /** Ids whose files were found, or told of as faulty. */
  onDisk: Set<string>;
  /** Ids that were put back just now: their jobs came with them. */
  restored: Set<string>;
  /** Ids whose record could not be made sense of. */
  damaged: Set<string>;
}

export function nothingKnown(): Known {
  return {
    generations: new Map(),
    stems: new Set(),
    onDisk: new Set(),
    restored: new Set(),
    damaged: new Set(),
  };
}
