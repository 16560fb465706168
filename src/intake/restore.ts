import {
  type CertificateRecord,
  type CertificateSpec,
  certificateId,
  isRetriable,
} from "../core/certificate.ts";
import { chunked } from "../core/chunked.ts";
import type { Accepted } from "../store/certificates.ts";
import type { CertificateFile, PendingOrder } from "../store/files.ts";
import type { AcceptedLine, ImportHeader, ImportLine } from "../store/import-files.ts";
import { type ImportCounts, NO_COUNTS } from "../store/imports.ts";
import { readable } from "../store/settlement.ts";
import { addMissingJobs, ensureJobs } from "./jobs.ts";
import { restoreNewer, restorePlans } from "./newest.ts";
import type { RestoreDeps } from "./ports.ts";

const CHUNK = 1_000;
/** Files read at once. */
const READS = 32;
/** Let's Encrypt's certificates begin an hour before they are made; files of earlier versions tell no more than that. */
const BACKDATED = 3_600_000;
/** Milliseconds after which an import that says nothing has lost its reader. */
const ABANDONED = 60_000;

/**
 * Makes an empty Redis hold again what the files tell: first every certificate that has settled, as it stood; then
 * what was accepted after that, which is queued. Repeating it changes nothing.
 */
export async function restoreFromFiles(deps: RestoreDeps): Promise<number> {
  let restored = 0;
  const ledgers = deps.ledgers();
  const removed = await deps.removals.load();
  for await (const files of chunked(deps.certificateFiles.all(), CHUNK)) {
    const records = await withPlans(deps, await withoutRemoved(deps, files.map(toRecord), removed));
    for (const record of records) ledgers.add(record);
    restored += await restoreChunk(deps, records);
  }
  // Before anything is admitted: what follows goes by it.
  await ledgers.write();
  for (const id of await deps.importFiles.ids()) await replayImport(deps, id, removed);
  return restored;
}

/** One that was removed while its order was being fetched has left files, whose place is the archive. */
async function withoutRemoved(
  { certificateFiles, clock }: RestoreDeps,
  records: readonly CertificateRecord[],
  removed: ReadonlyMap<string, number>,
): Promise<CertificateRecord[]> {
  const isLeft = ({ id, acceptedAt, status }: CertificateRecord): boolean =>
    status !== "removed" && acceptedAt <= (removed.get(id) ?? 0);
  for (const { id } of records.filter(isLeft)) await certificateFiles.archive(id, clock.now());
  return records.filter((record) => !isLeft(record));
}

/** When each is to be renewed is what was chosen before: the window stands, and with it the instant in it. */
export async function withPlans(
  { certificateFiles }: RestoreDeps,
  records: readonly CertificateRecord[],
): Promise<CertificateRecord[]> {
  const found: CertificateRecord[] = [];
  for (let from = 0; from < records.length; from += READS) {
    const slice = records.slice(from, from + READS);
    const plans = await Promise.all(slice.map(({ id }) => certificateFiles.plan(id)));
    for (const [index, record] of slice.entries()) {
      const [plan, { leaf }] = [plans[index], record];
      if (!leaf || plan?.serial !== leaf.serial) found.push(record);
      else found.push({ ...record, leaf: { ...leaf, renewAt: plan.renewAt }, schedule: plan.schedule });
    }
  }
  return found;
}

async function restoreChunk(deps: RestoreDeps, records: readonly CertificateRecord[]): Promise<number> {
  const known = await deps.certificates.getMany(records.map(({ id }) => id));
  const missing = records.filter((_, index) => known[index] === undefined);
  await restorePlans(deps, records, known);
  return (await restoreMissing(deps, missing)) + (await restoreNewer(deps, records, known));
}

export async function restoreMissing(
  deps: RestoreDeps,
  missing: readonly CertificateRecord[],
): Promise<number> {
  if (missing.length === 0) return 0;
  await deps.certificates.restore(missing);
  // What waited for a limit was never written down as settled; it is in the imports' journals.
  const waiting = missing.filter(({ status }) => status === "waiting");
  await addMissingJobs(deps, waiting);
  return missing.length;
}

/** A file of a failed attempt was written under the generation that failed; the next one is what is waited for. */
export function toRecord(file: CertificateFile): CertificateRecord {
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
 * taken away, milliseconds since the epoch; `only`: the certificates, by their ids, that this is about.
 */
export async function replayImport(
  deps: RestoreDeps,
  fileId: string,
  removed: ReadonlyMap<string, number>,
  only?: ReadonlySet<string>,
): Promise<void> {
  let header: ImportHeader | undefined;
  let counts: ImportCounts | undefined;
  let chunk: AcceptedLine[] = [];
  const accepted = { ...NO_COUNTS };
  const flush = async (): Promise<void> => {
    const wanted = chunk.filter(
      ({ at, spec }) => at > (removed.get(idOf(spec)) ?? 0) && (only?.has(idOf(spec)) ?? true),
    );
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
    const order = await readable(deps.certificateFiles.pendingOrder(id));
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
    const order = orders.get(id);
    // Generations begin anew with a certificate of which nothing else is left.
    if (order && (action === "new" || order.generation === generation))
      await deps.certificates.claimOrder(id, generation, order.orderUrl);
  }
}

/** The record is of this acceptance or a later one, or is what it asked for already. What had failed was tried again. */
function isAnswered(record: CertificateRecord, { at, spec, force }: AcceptedLine): boolean {
  if (record.acceptedAt >= at) return true;
  // What was removed in between has been asked for anew.
  if (force || record.status === "removed") return false;
  return JSON.stringify(record.spec) === JSON.stringify(spec) && !isRetriable(record);
}

/** Takes up imports whose reader died in the middle: what it had written is enqueued, and the import ends. */
export async function adoptAbandonedImports(deps: RestoreDeps): Promise<string[]> {
  const ids = await abandonedImports(deps);
  const removed = ids.length > 0 ? await deps.removals.load() : new Map();
  for (const id of ids) await replayImport(deps, id, removed);
  if (ids.length > 0) await ensureJobs(deps);
  return ids;
}

/** Those of them that are on this disk: what another host was reading is on its own. */
export async function abandonedImports(deps: RestoreDeps): Promise<string[]> {
  const abandoned = await deps.imports.abandoned(deps.clock.now() - ABANDONED);
  const here = abandoned.length > 0 ? await deps.importFiles.ids() : [];
  return abandoned.filter((id) => here.includes(id));
}
