/** One walk over the file: its columns, the rows that have faults, and what the others ask for. */
import type { ImportForecast } from "../../api/schemas/imports.ts";
import {
  type Columns,
  cellOf,
  columnsOf,
  guessCells,
  isHeader,
  isRow,
  NO_HEADER,
  readCells,
} from "./cells.ts";
import { type FileLine, fileLines } from "./lines.ts";
import { type Edits, editedText } from "./mend.ts";

export type Fault = ImportForecast["rejected"][number];

export interface FaultyRow {
  line: FileLine;
  cells: readonly string[];
  /** What is wrong, by the index of the cell. */
  faults: ReadonlyMap<number, readonly string[]>;
}

export interface Survey {
  columns: Columns;
  /** In the file's order; no more than `MOST_FAULTY`. */
  faulty: readonly FaultyRow[];
  /** Of the rows without faults, how many ask for each: mail to this address, an order at this CA ("" for none). */
  mailTo: ReadonlyMap<string, number>;
  cas: ReadonlyMap<string, number>;
}

/** More are shown to nobody, as nobody mends them by hand. */
export const MOST_FAULTY = 5_000;
/** So many lines that cannot be read may stand before the header line. */
const MAX_BEFORE_HEADER = 20;

/** Of the file as it is with the edits in it; the lines stand where they stand in the file without them. */
export async function survey(file: Blob, edits: Edits, faults: readonly Fault[]): Promise<Survey> {
  const byLine = new Map<number, Fault[]>();
  for (const fault of faults) {
    const same = byLine.get(fault.line);
    if (same) same.push(fault);
    else byLine.set(fault.line, [fault]);
  }
  const found = new Found();
  for await (const lines of fileLines(file))
    for (const line of lines) found.add({ ...line, text: editedText(edits, line) }, byLine.get(line.number));
  found.end();
  return found;
}

class Found implements Survey {
  columns = NO_HEADER;
  readonly faulty: FaultyRow[] = [];
  readonly mailTo = new Map<string, number>();
  readonly cas = new Map<string, number>();
  #isDecided = false;
  #unreadable = 0;
  /** Met before it is known what their columns are. */
  #held: [FileLine, readonly Fault[]][] = [];

  add(line: FileLine, faults: readonly Fault[] | undefined): void {
    if (!isRow(line.text)) return;
    if (!this.#isDecided && this.#decide(line)) return;
    if (faults === undefined) this.#count(line);
    else if (!this.#isDecided) this.#held.push([line, faults]);
    else this.#addFaulty(line, faults);
  }

  /** No line could be read at all. */
  end(): void {
    for (const [line, faults] of this.#held.splice(0)) this.#addFaulty(line, faults);
  }

  /** Whether this is the header line, which is the first line that can be read, or none. */
  #decide({ text }: FileLine): boolean {
    const cells = text.includes("\ufffd") ? undefined : readCells(text);
    if (cells === undefined && ++this.#unreadable <= MAX_BEFORE_HEADER) return false;
    this.#isDecided = true;
    const header = cells !== undefined && isHeader(cells);
    if (header) this.columns = columnsOf(cells);
    this.end();
    return header;
  }

  #addFaulty(line: FileLine, faults: readonly Fault[]): void {
    if (this.faulty.length >= MOST_FAULTY) return;
    this.faulty.push(faultyRow(line, faults, this.columns));
  }

  #count({ text }: FileLine): void {
    const cells = text.includes('"') ? (readCells(text) ?? []) : text.split(",");
    const at = (column: string): string => cells[this.columns.names.indexOf(column)]?.trim() ?? "";
    const to = at("TOAddr");
    if (to !== "") this.mailTo.set(to, (this.mailTo.get(to) ?? 0) + 1);
    const ca = at("CA");
    this.cas.set(ca, (this.cas.get(ca) ?? 0) + 1);
  }
}

export function faultyRow(line: FileLine, faults: readonly Fault[], columns: Columns): FaultyRow {
  const byCell = new Map<number, string[]>();
  for (const { column, value, reason } of faults) {
    const at = cellOf(column, columns);
    const words =
      faults.filter((other) => other.column === column).length > 1 ? `${value}: ${reason}` : reason;
    byCell.set(at, [...(byCell.get(at) ?? []), words]);
  }
  return { line, cells: readCells(line.text) ?? guessCells(line.text), faults: byCell };
}
