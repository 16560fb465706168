import { type CertificateSpec, certificateId, namesKey } from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import type { AcceptAction } from "../store/certificates.ts";
import { FaultFile } from "../store/faults.ts";
import type { ImportFiles, ImportJournal } from "../store/import-files.ts";
import { newImportId } from "../store/import-files.ts";
import { type ImportCounts, type ImportStore, NO_COUNTS, type NotifyMode } from "../store/imports.ts";
import { COLUMNS } from "./columns.ts";
import type { CsvInfo, RawRow } from "./csv.ts";
import type { Enqueuer } from "./enqueue.ts";
import { RejectedFile } from "./rejected.ts";
import { checkRow, type Fault, makeFault, type RowContext } from "./row.ts";

const CHUNK = 1_000;
/** Milliseconds between two signs of life while a file is read. */
const BEAT = 10_000;

export interface ImportDeps {
  imports: ImportStore;
  files: ImportFiles;
  enqueuer: Enqueuer;
  clock: Clock;
  context: Omit<RowContext, "line">;
}

export interface ImportRequest {
  rows: AsyncIterable<RawRow>;
  info: CsvInfo;
  /** The file's name, for a person. */
  source: string;
  notify: NotifyMode;
  /** For every row that names none of its own. */
  priority?: number;
  dryRun?: boolean;
  /** In a dry run: what would be done with each row that is right. */
  onForeseen?: (spec: CertificateSpec, action: AcceptAction) => void;
  /** Takes one bad row with all its faults, which are on record under the import's id in any case. */
  onRejected?: (row: RawRow, faults: readonly Fault[]) => Promise<void>;
}

export interface ImportResult {
  id: string;
  counts: ImportCounts;
  /** All faults, in the order of the rows; to be read once or more. */
  faults: FaultFile<Fault>;
}

interface Checked {
  row: RawRow;
  spec: CertificateSpec;
}

/**
 * Takes a CSV in, a chunk of rows at a time: checked, compared with what is there, written to disk, and only then
 * put into the index and queued. Memory does not grow with the file, and a chunk that was queued is never lost.
 */
export async function importRows(deps: ImportDeps, request: ImportRequest): Promise<ImportResult> {
  const at = deps.clock.now();
  const id = newImportId(at);
  const faults = new FaultFile<Fault>(deps.files.root, id);
  const { info, dryRun = false } = request;
  const rejected = dryRun ? undefined : new RejectedFile(deps.files.rejected(id), info, { inPlace: true });
  const run = new ImportRun(deps, request, id, { faults, rejected });
  const rows = request.rows[Symbol.asyncIterator]();
  try {
    // The first row is waited for: a file that is no CSV at all leaves no trace.
    const first = await rows.next();
    await (dryRun
      ? run.takeAll(rows, first, undefined)
      : takeIn(deps, request, run, { id, at, rows, first }));
  } finally {
    await rows.return?.();
    await faults.close();
    await rejected?.close();
    if (dryRun) await deps.imports.forgetSeen(id);
  }
  if (!dryRun) await deps.enqueuer.finishReading(id, run.counts);
  return { id, counts: run.counts, faults };
}

type Rows = AsyncIterator<RawRow>;

/** Journals and queues the rows. Gives a sign of life all the while, as a slow sender may take long for a chunk. */
async function takeIn(
  deps: ImportDeps,
  request: ImportRequest,
  run: ImportRun,
  { id, at, rows, first }: { id: string; at: number; rows: Rows; first: IteratorResult<RawRow> },
): Promise<void> {
  const journal = await deps.files.begin({ import: id, source: request.source, at, notify: request.notify });
  const beat = setInterval(() => {
    deps.imports.touch(id, deps.clock.now()).catch(() => undefined);
  }, BEAT);
  try {
    await deps.imports.create(id, request.source, request.notify, at);
    await run.takeAll(rows, first, journal);
    await journal.append([{ end: run.counts }]);
  } finally {
    clearInterval(beat);
    await journal.close();
  }
}

class ImportRun {
  readonly counts: ImportCounts = { ...NO_COUNTS };
  readonly #deps: ImportDeps;
  readonly #request: ImportRequest;
  readonly #id: string;
  readonly #faults: FaultFile<Fault>;
  readonly #rejected: RejectedFile | undefined;
  /** Faults of the chunk in hand. */
  readonly #found: Fault[] = [];

  constructor(
    deps: ImportDeps,
    request: ImportRequest,
    id: string,
    { faults, rejected }: { faults: FaultFile<Fault>; rejected: RejectedFile | undefined },
  ) {
    this.#deps = deps;
    this.#request = request;
    this.#id = id;
    this.#faults = faults;
    this.#rejected = rejected;
  }

  /** Without a journal nothing is written or queued. */
  async takeAll(
    rows: Rows,
    first: IteratorResult<RawRow>,
    journal: ImportJournal | undefined,
  ): Promise<void> {
    let chunk: RawRow[] = [];
    for (let next = first; !next.done; next = await rows.next()) {
      if (chunk.push(next.value) < CHUNK) continue;
      await this.#take(chunk, journal);
      chunk = [];
    }
    await this.#take(chunk, journal);
  }

  async #take(rows: readonly RawRow[], journal: ImportJournal | undefined): Promise<void> {
    if (rows.length === 0) return;
    this.counts.rows += rows.length;
    const unique = await this.#withoutRepeats(await this.#check(rows));
    if (journal) await this.#accept(unique, journal);
    else await this.#foresee(unique);
    await this.#faults.add(this.#found.splice(0).sort((a, b) => a.line - b.line));
    await this.#rejected?.flush();
    if (journal) await this.#deps.imports.setCounts(this.#id, this.counts, this.#deps.clock.now());
  }

  async #check(rows: readonly RawRow[]): Promise<Checked[]> {
    const checked: Checked[] = [];
    const { context } = this.#deps;
    await context.relays?.prepare(rows.map(({ cells }) => cells[COLUMNS.relay.name] ?? ""));
    for (const row of rows) {
      const result = checkRow(row.cells, { ...context, line: row.line, faults: row.faults });
      if ("spec" in result) checked.push({ row, spec: this.#prioritized(result.spec, row) });
      else await this.#reject(row, result.faults);
    }
    return checked;
  }

  #prioritized(spec: CertificateSpec, row: RawRow): CertificateSpec {
    const { priority } = this.#request;
    return priority === undefined || row.cells.Priority ? spec : { ...spec, priority };
  }

  /** The same names again are one certificate; the same first name with others is a question for a person. */
  async #withoutRepeats(checked: readonly Checked[]): Promise<Checked[]> {
    const marks = checked.map(({ row, spec }) => ({
      id: idOf(spec),
      mark: `${row.line}|${namesKey(spec.names)}`,
    }));
    const seen = await this.#deps.imports.see(this.#id, marks);
    const unique: Checked[] = [];
    for (const [index, entry] of checked.entries()) {
      const before = seen[index];
      if (before === undefined) {
        unique.push(entry);
        continue;
      }
      const [line, names] = before.split("|");
      if (names === namesKey(entry.spec.names)) this.counts.duplicates++;
      else await this.#reject(entry.row, [conflict(entry, line ?? "")]);
    }
    return unique;
  }

  async #reject(row: RawRow, faults: readonly Fault[]): Promise<void> {
    this.counts.rejectedRows++;
    this.#found.push(...faults);
    await this.#rejected?.add(row, faults);
    await this.#request.onRejected?.(row, faults);
  }

  async #accept(checked: readonly Checked[], journal: ImportJournal): Promise<void> {
    const { enqueuer, clock } = this.#deps;
    const at = clock.now();
    const specs = checked.map(({ spec }) => spec);
    const changed = await enqueuer.changed(specs);
    // What is there and the same already was written by the import that brought it.
    const lines = checked
      .filter((_, index) => changed[index])
      .map(({ row, spec }) => ({ line: row.line, at, spec }));
    await journal.append(lines);
    for (const { action } of await enqueuer.enqueue(specs, { importId: this.#id })) this.#count(action);
  }

  async #foresee(checked: readonly Checked[]): Promise<void> {
    const actions = await this.#deps.enqueuer.foresee(checked.map(({ spec }) => spec));
    for (const [index, { spec }] of checked.entries()) {
      const action = actions[index] ?? "new";
      this.#count(action);
      this.#request.onForeseen?.(spec, action);
    }
  }

  #count(action: AcceptAction): void {
    if (action === "updated" || action === "unchanged") this.counts.unchanged++;
    else this.counts.accepted++;
    if (action === "updated") this.counts.updated++;
    if (action === "retry" || action === "deploy") this.counts.retried++;
  }
}

function idOf(spec: CertificateSpec): string {
  return certificateId(spec.names[0] ?? "");
}

function conflict({ row, spec }: Checked, line: string): Fault {
  const domain = row.cells.DOMAIN ?? "";
  return makeFault(
    row.line,
    domain,
    "DOMAIN",
    domain,
    `${spec.names[0]} stands with other names in line ${line}; put all its names into one row, or begin this one with another name.`,
  );
}
