/**
 * One line of a CSV as cells, and back. A row never goes over more than one line (docs/csv.md), so that a line is all
 * there is to look at.
 */

/** What a file without a header line has, in this order. */
export const POSITIONAL: readonly string[] = [
  "DOMAIN",
  "VIPPort",
  "ACMEPort",
  "FROMAddr",
  "TOAddr",
  "RELAYAddr",
  "RELAYPort",
];
/** What may stand beside them where there is a header line. */
const FURTHER = ["CA", "Profile", "KeyType", "Challenge", "Priority"] as const;
/** What a rejected file has behind the row's own cells, and nobody reads. */
const FAULTS = ["Line", "Column", "Value", "Reason"] as const;

const OWN_NAME = new Map([...POSITIONAL, ...FURTHER].map((name) => [name.toLowerCase(), name]));
const FAULT_NAMES: ReadonlySet<string> = new Set(FAULTS.map((name) => name.toLowerCase()));

/** The column's own spelling for a header cell in whatever case; undefined for a column that is not known. */
export function columnName(headerCell: string): string | undefined {
  return OWN_NAME.get(headerCell.trim().toLowerCase());
}

/** A cell, quoted (1) or not (2), and what ends it. */
const CELL = /[ \t]*(?:"((?:[^"]|"")*)"[ \t]*|([^",]*))(,|$)/y;

/** Undefined for a line with a stray quotation mark, which nobody can tell the cells of. */
export function readCells(line: string): string[] | undefined {
  const cells: string[] = [];
  for (let at = 0; ; ) {
    CELL.lastIndex = at;
    const found = CELL.exec(line);
    if (!found) return undefined;
    const [, inQuotes, bare = "", end] = found;
    cells.push(inQuotes === undefined ? bare.trim() : inQuotes.replaceAll('""', '"'));
    if (end === "") return cells;
    at = CELL.lastIndex;
  }
}

/** The cells as far as they can be guessed: a stray quotation mark stays, to be seen and taken out. */
export function guessCells(line: string): string[] {
  return line.split(",").map((cell) => cell.replace(/^\s*"([^"]*)"\s*$/, "$1"));
}

/** Quoted wherever a reader might see more than the cell in it: RFC 4180 §2, outer spaces, and what looks like a comment. */
export function writeCells(cells: readonly string[]): string {
  return cells
    .map((cell) => (/[",\r\n]|^\s|\s$|^#/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell))
    .join(",");
}

/**
 * The same for a person who opens it in a spreadsheet: what that would take for a formula gets an apostrophe before it.
 * https://owasp.org/www-community/attacks/CSV_Injection
 */
export function sheetLine(cells: readonly string[]): string {
  return `${writeCells(cells.map((cell) => (/^\s*[=+\-@]/.test(cell) ? `'${cell}` : cell)))}\n`;
}

/** Blank lines, those of empty cells, and comments are no rows. */
export function isRow(line: string): boolean {
  return !line.trimStart().startsWith("#") && !/^[\s,]*$/.test(line);
}

/** DOMAIN comes first as a rule; in another order the known columns about it show that it is no host of that name. */
export function isHeader(cells: readonly string[]): boolean {
  const names = cells.map(columnName);
  return (
    names[0] === "DOMAIN" ||
    (names.includes("DOMAIN") && names.filter((name) => name !== undefined).length > 1)
  );
}

export interface Columns {
  hasHeader: boolean;
  /** As a person knows them: the header line's own cells, or the seven of a file without one. */
  titles: readonly string[];
  /** The columns' own names, as faults have them. */
  names: readonly (string | undefined)[];
}

export const NO_HEADER: Columns = { hasHeader: false, titles: POSITIONAL, names: POSITIONAL };

export function columnsOf(header: readonly string[]): Columns {
  return { hasHeader: true, titles: header, names: header.map(columnName) };
}

/** Where the cell of a fault stands: its column's own name, the header's, or a number from 1. */
export function cellOf(column: string, { names, titles }: Columns): number {
  const own = names.indexOf(column);
  if (own !== -1) return own;
  const titled = titles.indexOf(column);
  if (titled !== -1) return titled;
  return /^[1-9]\d*$/.test(column) ? Number(column) - 1 : Math.max(0, names.indexOf("DOMAIN"));
}

/** Those that are worth a person's look: known ones, and cells that no column is there for. */
export function isShown(index: number, { names, titles }: Columns): boolean {
  return index >= titles.length || names[index] !== undefined;
}

/** Left behind by a rejected file that is being mended. */
export function isFaultColumn(title: string): boolean {
  return FAULT_NAMES.has(title.trim().toLowerCase());
}
