/** What a person has changed in the rows of a file: kept beside it, so that each change can be taken back. */
import { writeCells } from "./cells.ts";
import { type FileLine, withLines } from "./lines.ts";

export interface Edit {
  /** As in the file. */
  line: Pick<FileLine, "number" | "start" | "end">;
  cells: readonly string[];
  /** Left out: the line is sent as a comment. */
  out: boolean;
}

/** By the numbers of the lines. */
export type Edits = ReadonlyMap<number, Edit>;

interface Row {
  line: FileLine;
  cells: readonly string[];
}

/** The API takes no longer line; what is shown of one is not all of it, and must not replace it. */
const MAX_LINE = 64 * 1024;

export function isMendable({ line }: Row): boolean {
  return line.text.length <= MAX_LINE;
}

export function editOf(edits: Edits, { line, cells }: Row): Edit {
  const { number, start, end } = line;
  return edits.get(number) ?? { line: { number, start, end }, cells, out: false };
}

export function withCell(edits: Edits, row: Row, index: number, value: string): Edits {
  const edit = editOf(edits, row);
  const cells = Array.from({ length: Math.max(edit.cells.length, index + 1) }, (_, at) =>
    at === index ? value : (edit.cells[at] ?? ""),
  );
  return put(edits, { ...edit, cells });
}

export function leftOut(edits: Edits, row: Row, out: boolean): Edits {
  return put(edits, { ...editOf(edits, row), out });
}

/** The same for a row that is not among the faulty ones any more. */
export function takenIn(edits: Edits, number: number): Edits {
  const edit = edits.get(number);
  return edit ? put(edits, { ...edit, out: false }) : edits;
}

function put(edits: Edits, edit: Edit): Edits {
  return new Map(edits).set(edit.line.number, edit);
}

export function editedText(edits: Edits, line: Pick<FileLine, "number" | "text">): string {
  const edit = edits.get(line.number);
  return edit === undefined ? line.text : textOf(edit);
}

/** Cells at the end that hold nothing may be missing (docs/csv.md), and a person may have emptied surplus ones. */
function textOf({ cells, out }: Edit): string {
  const last = cells.findLastIndex((cell) => cell.trim() !== "");
  const text = writeCells(cells.slice(0, last + 1));
  return out ? `# ${text}` : text;
}

export function mendedFile(file: Blob, edits: Edits): Blob {
  if (edits.size === 0) return file;
  return withLines(
    file,
    [...edits.values()].map((edit) => ({ line: edit.line, text: textOf(edit) })),
  );
}
