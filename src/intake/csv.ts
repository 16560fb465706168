import { type FileHandle, open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { parse } from "csv-parse/sync";
import { type AppError, usageError } from "../core/errors.ts";
import { columnName, DOMAIN, FAULT_COLUMNS, POSITIONAL } from "./columns.ts";
import {
  type CsvOptions,
  type Line,
  type PhysicalLine,
  physicalLines,
  readLine,
  textChunks,
  tooLarge,
} from "./lines.ts";
import { type Fault, makeFault, shown } from "./row.ts";

export interface RawRow {
  /** Physical line, from 1. */
  line: number;
  /** By the columns' own names, as far as the line has them; none at all where it could not be taken apart. */
  cells: Record<string, string>;
  /** All cells in the file's order, those of unknown columns and surplus ones too. */
  raw: string[];
  /** What is wrong with the line as such. `checkRow` takes it along and adds what is wrong with the cells. */
  faults: Fault[];
}

/** What reading has found out about the file as a whole: complete by the time of the first row, empty before. */
export interface CsvInfo {
  /** The header line's cells as given, if there is such a line. */
  header: readonly string[] | undefined;
  /** Sentences for the person who imports; no row suffers from them. */
  warnings: string[];
}

/** So many unreadable lines may stand before the header line. */
const MAX_BEFORE_HEADER = 20;

/**
 * The rows of a CSV in its order, without blank lines, rows of empty cells, and `#` lines. Holds no more than a chunk
 * of the source and a batch of rows, and reads on only as rows are taken.
 *
 * A row never spans lines, so that a stray quotation mark costs its own line and no other: each line is looked at
 * alone, and csv-parse is given only those it can take apart.
 *
 * Throws a usage error at the first row for a source that has no rows or is not CSV in UTF-8 at all, and at any row
 * for one that grows over `maxBytes`. Ends by destroying the source if it is a stream.
 */
export function readRows(
  source: Readable | AsyncIterable<Uint8Array | string>,
  options: CsvOptions,
): AsyncGenerator<RawRow, void, void> & { info: CsvInfo } {
  const info: CsvInfo = { header: undefined, warnings: [] };
  return Object.assign(tableRows(source, options, info), { info });
}

async function* tableRows(
  source: AsyncIterable<Uint8Array | string>,
  options: CsvOptions,
  info: CsvInfo,
): AsyncGenerator<RawRow, void, void> {
  const table = new Table(options.what, info);
  let found = false;
  for await (const lines of physicalLines(textChunks(source, options))) {
    for (const row of table.read(lines)) {
      found = true;
      yield row;
    }
  }
  for (const row of table.end()) {
    found = true;
    yield row;
  }
  if (!found) throw usageError("csv_empty", `${options.what} holds no rows.`);
}

/** A file to read rows from, `-` being standard input. Throws a usage error that says why it cannot be read. */
export async function openCsv(
  path: string,
  { maxBytes }: { maxBytes: number },
): Promise<{ source: Readable; what: string }> {
  if (path === "-") return { source: process.stdin, what: "standard input" };
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    throw unreadable(path, error);
  }
  const stat = await file.stat();
  if (stat.isDirectory() || stat.size > maxBytes) {
    await file.close();
    throw stat.isDirectory() ? isDirectory(path) : tooLarge(path, maxBytes);
  }
  return { source: file.createReadStream(), what: path };
}

function unreadable(path: string, error: unknown): AppError {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  const name = shown(path);
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return usageError("csv_not_found", `There is no file ${name}.`);
    case "EISDIR":
      return isDirectory(path);
    case "EACCES":
    case "EPERM":
      return usageError("csv_unreadable", `${name} may not be read by this user: mind its permissions.`);
    default:
      return usageError("csv_unreadable", `${name} cannot be read (${code}).`);
  }
}

function isDirectory(path: string): AppError {
  return usageError("csv_directory", `${shown(path)} is a directory: name a CSV file.`);
}

function splitLines(lines: readonly Line[]): string[][] {
  return parse(lines.map((line) => line.text).join("\n"), {
    delimiter: ",",
    record_delimiter: "\n",
    relax_column_count: true,
    trim: true,
  });
}

/** Turns lines into rows, once it knows from the first readable one whether there is a header. */
class Table {
  readonly #what: string;
  readonly #info: CsvInfo;
  #held: Line[] = [];
  /** By position; undefined for a column that is ignored. */
  #columns: readonly (string | undefined)[] | undefined;

  constructor(what: string, info: CsvInfo) {
    this.#what = what;
    this.#info = info;
  }

  read(lines: readonly PhysicalLine[]): RawRow[] {
    for (const physical of lines) {
      const line = readLine(physical);
      if (line !== undefined) this.#held.push(line);
    }
    const isDecided = this.#columns !== undefined || this.#held.length > MAX_BEFORE_HEADER;
    return isDecided || this.#held.some((line) => line.flaw === undefined) ? this.end() : [];
  }

  /** The rows of the lines held so far. */
  end(): RawRow[] {
    this.#columns ??= this.#findColumns();
    const held = this.#held;
    this.#held = [];
    const records = splitLines(held.filter((line) => line.flaw === undefined)).values();
    return held.flatMap((line) => {
      if (line.flaw !== undefined) return this.#flawedRow(line, line.flaw);
      const cells = records.next().value ?? [];
      return cells.some((cell) => cell.trim() !== "") ? this.#row(line, cells) : [];
    });
  }

  #row({ number }: Line, raw: string[]): RawRow {
    const columns = this.#columns ?? POSITIONAL;
    const cells: Record<string, string> = {};
    for (const [index, name] of columns.entries()) {
      const cell = raw[index];
      if (name !== undefined && cell !== undefined) cells[name] = cell;
    }
    const faults: Fault[] = [];
    const surplus = raw.findIndex((cell, index) => index >= columns.length && cell.trim() !== "");
    if (surplus !== -1) {
      const most =
        this.#info.header === undefined ? "a file without a header line has at most" : "the header line has";
      const reason = `${most} ${columns.length} columns, and this row has ${raw.length}: take out what is too much`;
      faults.push(makeFault(number, cells[DOMAIN] ?? "", String(surplus + 1), raw[surplus] ?? "", reason));
    }
    return { line: number, cells, raw, faults };
  }

  #flawedRow({ number }: Line, { reason, sign, cells }: NonNullable<Line["flaw"]>): RawRow {
    const columns = this.#columns ?? POSITIONAL;
    const domainAt = columns.indexOf(DOMAIN);
    const found = sign === undefined ? domainAt : cells.findIndex((cell) => cell.includes(sign));
    const at = Math.max(0, found);
    const column = columns[at] ?? this.#info.header?.[at] ?? String(at + 1);
    const value = cells[at] ?? cells[0] ?? "";
    const fault = makeFault(number, cells[domainAt] ?? cells[0] ?? "", column, value, reason);
    return { line: number, cells: {}, raw: cells, faults: [fault] };
  }

  #findColumns(): readonly (string | undefined)[] {
    this.#refuseOtherFormats();
    const at = this.#held.findIndex((line) => line.flaw === undefined);
    const cells = splitLines(this.#held.slice(at, at + 1))[0] ?? [];
    if (at === -1 || !isHeader(cells)) return POSITIONAL;
    this.#held.splice(at, 1);
    this.#info.header = cells;
    const names = cells.map(columnName);
    const twice = names.find((name, index) => name !== undefined && names.indexOf(name) !== index);
    if (twice !== undefined) {
      throw usageError("csv_header", `${this.#what}: the header line has ${twice} twice.`);
    }
    const unknown = cells.filter(
      (cell, index) => names[index] === undefined && cell !== "" && !isFaultColumn(cell),
    );
    if (unknown.length > 0) {
      const list = unknown.map(shown).join(", ");
      this.#info.warnings.push(`${this.#what}: these columns are not known and were ignored: ${list}.`);
    }
    return names;
  }

  /** The first line tells formats that cannot be CSV; their lines would all be faults, each as puzzling as the next. */
  #refuseOtherFormats(): void {
    const first = this.#held[0]?.text.trimStart() ?? "";
    const format = /^(?:\{|\[|<|%PDF|-----BEGIN)/.exec(first)?.[0];
    if (format !== undefined) {
      throw usageError("csv_format", `${this.#what} is no CSV: its first line starts with ${format}.`);
    }
    if (/^"?domain"?\s*[;\t]/i.test(first) && !first.includes(",")) {
      throw usageError(
        "csv_separator",
        `${this.#what} separates its columns by semicolons or tabs: save it with commas.`,
      );
    }
  }
}

/** DOMAIN comes first as a rule; in another order the known columns about it show that it is no host of that name. */
function isHeader(cells: readonly string[]): boolean {
  const names = cells.map(columnName);
  return (
    names[0] === DOMAIN || (names.includes(DOMAIN) && names.filter((name) => name !== undefined).length > 1)
  );
}

function isFaultColumn(cell: string): boolean {
  return FAULT_COLUMNS.some((name) => name.toLowerCase() === cell.toLowerCase());
}
