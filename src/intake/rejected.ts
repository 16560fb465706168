import { randomBytes } from "node:crypto";
import { access, type FileHandle, open, rename, rm } from "node:fs/promises";
import { quoted, safe } from "../core/csv.ts";
import { AppError } from "../core/errors.ts";
import { FAULT_COLUMNS, POSITIONAL } from "./columns.ts";
import type { CsvInfo, RawRow } from "./csv.ts";
import type { Fault } from "./row.ts";

/** Characters kept before they are written. */
const BUFFER = 64 * 1024;

/** Where the bad rows of an imported file go. */
export function rejectedPath(file: string): string {
  return `${file}.rejected.csv`;
}

/**
 * The bad rows of one import, to be mended and imported again: the header line, the cells as they were, and then
 * where and what the faults are, in columns that an import ignores.
 *
 * Untouched (nothing on disk) until the first `add`; then open on a temporary file beside the target, until `close`
 * puts it in the target's place or `abort` drops it. Closing an untouched one removes the target, which is of an
 * earlier import of the same file and no longer holds.
 *
 * With `inPlace` it is written at the path itself, which nothing has stood at before, and stays as far as it has come:
 * whoever reads it after a crash passes over a last line that is not whole.
 *
 * Every method throws an AppError `rejected_file` (`unavailable`) where the disk does not let it.
 */
export class RejectedFile {
  readonly path: string;
  readonly #info: Pick<CsvInfo, "header">;
  readonly #temporary: string;
  #file: FileHandle | undefined;
  #pending = "";
  /** Positions of the original columns that are written, an earlier import's fault columns being left out. */
  #kept: readonly number[] = [];
  #width = 0;
  #isAborted = false;

  /** `info` is what `readRows` finds out; its header is looked at with the first row. */
  constructor(path: string, info: Pick<CsvInfo, "header">, { inPlace = false } = {}) {
    this.path = path;
    this.#info = info;
    this.#temporary = inPlace ? path : `${path}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`;
  }

  /** Writes one row with all its faults. Waits for the disk now and then, so await it. */
  async add(row: Pick<RawRow, "line" | "raw">, faults: readonly Fault[]): Promise<void> {
    if (this.#isAborted) return;
    if (this.#file === undefined) await this.#open();
    const surplus = row.raw.slice(this.#width);
    const joined = (pick: (fault: Fault) => string) =>
      safe(faults.map((fault) => oneLine(pick(fault))).join(" | "));
    this.#pending += record([
      ...this.#kept.map((index) => row.raw[index] ?? ""),
      String(row.line),
      joined((fault) => fault.column),
      joined((fault) => fault.value),
      joined((fault) => fault.reason),
      // Behind the header's last column, where they are a fault again until somebody takes them out.
      ...surplus,
    ]);
    if (this.#pending.length >= BUFFER) await this.flush();
  }

  /** What was added is out of this process's hands when this returns. */
  async flush(): Promise<void> {
    const text = this.#pending;
    this.#pending = "";
    if (text !== "") await this.#attempt(async () => this.#file?.writeFile(text));
  }

  /** The file's path if there were faults. */
  async close(): Promise<string | undefined> {
    const file = this.#file;
    if (this.#isAborted) return undefined;
    if (file === undefined) {
      if (!this.#isInPlace) await this.#removeStale();
      return undefined;
    }
    await this.flush();
    await this.#attempt(async () => {
      await file.sync();
      await file.close();
      this.#file = undefined;
      if (!this.#isInPlace) await rename(this.#temporary, this.path);
    });
    return this.path;
  }

  /** For an import that failed as a whole: whatever stood at the path before stays. */
  async abort(): Promise<void> {
    this.#isAborted = true;
    const file = this.#file;
    this.#file = undefined;
    this.#pending = "";
    await file?.close().catch(() => undefined);
    if (!this.#isInPlace) await rm(this.#temporary, { force: true }).catch(() => undefined);
  }

  get #isInPlace(): boolean {
    return this.#temporary === this.path;
  }

  async #open(): Promise<void> {
    const columns = this.#info.header ?? POSITIONAL;
    const own = new Set(FAULT_COLUMNS.map((name) => name.toLowerCase()));
    this.#width = columns.length;
    this.#kept = [...columns.keys()].filter((index) => !own.has((columns[index] ?? "").toLowerCase()));
    await this.#attempt(async () => {
      // 0600, as rows hold people's addresses.
      this.#file = await open(this.#temporary, "wx", 0o600);
    });
    this.#pending = record([...this.#kept.map((index) => columns[index] ?? ""), ...FAULT_COLUMNS]);
  }

  async #removeStale(): Promise<void> {
    const exists = await access(this.path).then(
      () => true,
      () => false,
    );
    if (exists) await this.#attempt(() => rm(this.path));
  }

  async #attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      await this.abort();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new AppError(`The rejected rows cannot be written to ${this.path}: ${why}.`, {
        code: "rejected_file",
        disposition: "unavailable",
        cause,
      });
    }
  }
}

/** The row's own cells are as they came, as they are to be imported again. */
function record(cells: readonly string[]): string {
  return `${cells.map(quoted).join(",")}\n`;
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, " ");
}
