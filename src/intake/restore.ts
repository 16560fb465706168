import {
  accountOf,
  type CertificateRecord,
  type CertificateSpec,
  certificateId,
  isIssued,
  isRetriable,
} from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import type { Producer } from "../queue/producer.ts";
import type { Accepted, CertificateStore } from "../store/certificates.ts";
import type { CertificateFile, CertificateFiles, PendingOrder } from "../store/files.ts";
import type { AcceptedLine, ImportFiles, ImportHeader, ImportLine } from "../store/import-files.ts";
import { type ImportCounts, type ImportStore, NO_COUNTS } from "../store/imports.ts";
import type { Removals } from "../store/removals.ts";
import type { Deployments, Enqueuer } from "./enqueue.ts";
import { restoreNewer } from "./newest.ts";

const CHUNK = 1_000;
/** Let's Encrypt's certificates begin an hour before they are made; files of earlier versions tell no more than that. */
const BACKDATED = 3_600_000;
/** Milliseconds after which an import that says nothing has lost its reader. */
const ABANDONED = 60_000;

export interface RestoreDeps {
  certificates: CertificateStore;
  imports: ImportStore;
  certificateFiles: CertificateFiles;
  importFiles: ImportFiles;
  removals: Removals;
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

/**
 * Makes an empty Redis hold again what the files tell: first every certificate that has settled, as it stood; then
 * what was accepted after that, which is queued. Repeating it changes nothing.
 */
export async function restoreFromFiles(deps: RestoreDeps): Promise<number> {
  let restored = 0;
  let chunk: CertificateRecord[] = [];
  const ledgers = deps.ledgers();
  const flush = async (): Promise<void> => {
    restored += await restoreChunk(deps, chunk);
    chunk = [];
  };
  for await (const file of deps.certificateFiles.all()) {
    const record = toRecord(file);
    ledgers.add(record);
    if (chunk.push(record) >= CHUNK) await flush();
  }
  await flush();
  // Before anything is admitted: what follows goes by it.
  await ledgers.write();
  const removed = await deps.removals.load();
  for (const id of await deps.importFiles.ids()) await replayImport(deps, id, removed);
  return restored;
}

async function restoreChunk(deps: RestoreDeps, records: readonly CertificateRecord[]): Promise<number> {
  const known = await deps.certificates.getMany(records.map(({ id }) => id));
  const missing = records.filter((_, index) => known[index] === undefined);
  return (await restoreMissing(deps, missing)) + (await restoreNewer(deps, records, known));
}

async function restoreMissing(deps: RestoreDeps, missing: readonly CertificateRecord[]): Promise<number> {
  if (missing.length === 0) return 0;
  await deps.certificates.restore(missing);
  // What waited for a limit was never written down as settled; it is in the imports' journals.
  const waiting = missing.filter((record) => record.status === "waiting" && !isIssued(record));
  const admissions = waiting.map((record) => ({
    id: record.id,
    generation: record.generation,
    account: accountOf(record, deps.defaultAccount),
    priority: record.spec.priority,
    renewal: record.leaf !== undefined,
    ...(record.until === undefined ? {} : { at: record.until }),
  }));
  await deps.producer.enqueue(admissions, deps.clock.now());
  return missing.length;
}

/** A file of a failed attempt was written under the generation that failed; the next one is what is waited for. */
function toRecord(file: CertificateFile): CertificateRecord {
  const { version: _, name, provenance, leaf, ...rest } = file;
  // What waits for its deployment has been ordered, and stays what it is.
  const next = rest.status === "waiting" && leaf?.generation !== rest.generation ? 1 : 0;
  const from = provenance && leaf ? { ca: provenance.ca, issuedAt: leaf.notBefore + BACKDATED } : {};
  return {
    ...rest,
    id: certificateId(name),
    generation: rest.generation + next,
    ...(leaf ? { leaf: { ...from, ...leaf } } : {}),
  };
}

/**
 * Enqueues what an import accepted and what no certificate on disk has answered yet. `removed`: when certificates were
 * taken away, milliseconds since the epoch.
 */
async function replayImport(
  deps: RestoreDeps,
  fileId: string,
  removed: ReadonlyMap<string, number>,
): Promise<void> {
  let header: ImportHeader | undefined;
  let counts: ImportCounts | undefined;
  let chunk: AcceptedLine[] = [];
  const accepted = { ...NO_COUNTS };
  const flush = async (): Promise<void> => {
    const wanted = chunk.filter(({ at, spec }) => at > (removed.get(idOf(spec)) ?? 0));
    await replayChunk(deps, header?.import, wanted);
    accepted.rows += chunk.length;
    accepted.accepted += chunk.length;
    chunk = [];
  };
  for await (const line of deps.importFiles.lines(fileId)) {
    if (isHeader(line)) header = await begin(deps, line);
    else if ("end" in line) counts = line.end;
    else if (chunk.push(line) >= CHUNK) await flush();
  }
  await flush();
  if (header) await deps.enqueuer.finishReading(header.import, counts ?? accepted);
}

function idOf({ names }: CertificateSpec): string {
  return certificateId(names[0] ?? "");
}

function isHeader(line: ImportLine): line is ImportHeader {
  return "import" in line;
}

async function begin(deps: RestoreDeps, header: ImportHeader): Promise<ImportHeader> {
  if (!(await deps.imports.get(header.import)))
    await deps.imports.create(header.import, header.source, header.notify, header.at);
  return header;
}

async function replayChunk(
  deps: RestoreDeps,
  importId: string | undefined,
  lines: readonly AcceptedLine[],
): Promise<void> {
  const records = await deps.certificates.getMany(lines.map(({ spec }) => idOf(spec)));
  const open: AcceptedLine[] = [];
  const settled: string[] = [];
  for (const [index, line] of lines.entries()) {
    const record = records[index];
    if (record && isAnswered(record, line)) settled.push(record.id);
    else open.push(line);
  }
  if (importId !== undefined) await deps.imports.addCertificates(importId, settled);
  for (const force of [false, true])
    await enqueueAgain(
      deps,
      importId,
      open.filter((line) => (line.force ?? false) === force),
      force,
    );
}

async function enqueueAgain(
  deps: RestoreDeps,
  importId: string | undefined,
  lines: readonly AcceptedLine[],
  force: boolean,
): Promise<void> {
  const orders = new Map<string, PendingOrder>();
  for (const { spec } of lines) {
    const id = idOf(spec);
    const order = await deps.certificateFiles.pendingOrder(id);
    if (order && deps.knownAccounts.includes(order.ca)) orders.set(id, order);
  }
  await deps.enqueuer.enqueue(
    lines.map(({ spec }) => spec),
    {
      ...(importId === undefined ? {} : { importId }),
      force,
      // As of then: a later line of another file is to overtake it, whichever is read first.
      at: lines.map(({ at }) => at),
      // With whom an order is in hand, it is gone on with.
      ...(orders.size === 0 ? {} : { accounts: lines.map(({ spec }) => orders.get(idOf(spec))?.ca) }),
      beforeAdmission: (accepted) => resumeOrders(deps, accepted, orders),
    },
  );
}

/** An order that was in flight when Redis was lost has been paid for: its certificate goes on with it. */
async function resumeOrders(
  deps: RestoreDeps,
  accepted: readonly Accepted[],
  orders: ReadonlyMap<string, PendingOrder>,
): Promise<void> {
  for (const { id, generation, action } of accepted) {
    const order = action === "new" ? orders.get(id) : undefined;
    if (order) await deps.certificates.claimOrder(id, generation, order.orderUrl);
  }
}

/** The record is of this acceptance or a later one, or is what it asked for already. What had failed was tried again. */
function isAnswered(record: CertificateRecord, { at, spec, force }: AcceptedLine): boolean {
  if (record.acceptedAt >= at) return true;
  if (force) return false;
  return JSON.stringify(record.spec) === JSON.stringify(spec) && !isRetriable(record);
}

/** Takes up imports whose reader died in the middle: what it had written is enqueued, and the import ends. */
export async function adoptAbandonedImports(deps: RestoreDeps): Promise<string[]> {
  const abandoned = await deps.imports.abandoned(deps.clock.now() - ABANDONED);
  // What another host was reading is on its disk.
  const here = abandoned.length > 0 ? await deps.importFiles.ids() : [];
  const ids = abandoned.filter((id) => here.includes(id));
  const removed = ids.length > 0 ? await deps.removals.load() : new Map();
  for (const id of ids) await replayImport(deps, id, removed);
  if (ids.length > 0) await ensureJobs(deps);
  return ids;
}

/** Statuses in which something is still to be done for a certificate. */
export const ON_ITS_WAY = [
  "queued",
  "checking",
  "ordering",
  "validating",
  "finalizing",
  "waiting",
  "deploying",
  "removed",
] as const;

/**
 * Gives a job to every certificate that is on its way and has none, as after a process that died between the index
 * and the queue. Reads only what is not settled.
 */
export async function ensureJobs(deps: RestoreDeps): Promise<number> {
  let added = 0;
  for (const status of ON_ITS_WAY) {
    let chunk: CertificateRecord[] = [];
    for await (const record of deps.certificates.all(status)) {
      if (chunk.push(record) < CHUNK) continue;
      added += await addMissingJobs(deps, chunk);
      chunk = [];
    }
    added += await addMissingJobs(deps, chunk);
  }
  return added;
}

/** Gives a job to those of them that have none. Returns how many orders that were. */
export async function addMissingJobs(
  deps: RestoreDeps,
  records: readonly CertificateRecord[],
): Promise<number> {
  for (const record of records) if (record.status === "removed") await deps.takeAway(record);
  await deps.rollouts.advance(records.filter(isIssued));
  const toOrder = records.filter(({ status }) => status !== "removed" && status !== "deploying");
  const jobs = toOrder
    .filter((record) => !isIssued(record))
    .map((record) => ({ ...record, account: accountOf(record, deps.defaultAccount) }));
  const without = await deps.producer.withoutJob(jobs);
  const admissions = without.map(({ id, generation, account, spec, leaf, status, reason, until }) => ({
    id,
    generation,
    account,
    priority: spec.priority,
    renewal: leaf !== undefined,
    ...(status === "waiting" && reason !== "limit" && until !== undefined ? { at: until } : {}),
  }));
  await deps.producer.enqueue(admissions, deps.clock.now());
  return admissions.length;
}
