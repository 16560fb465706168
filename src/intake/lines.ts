import { isUtf8 } from "node:buffer";
import { type AppError, usageError } from "../core/errors.ts";
import { shown } from "./row.ts";

export interface CsvOptions {
  maxBytes: number;
  /** How to name the source in errors: the file's path, say. */
  what: string;
}

const MAX_LINE = 64 * 1024;
/** csv-parse takes long to get going, and memory must not grow with the file: so many lines at a time. */
const BATCH = 500;
/** As much as git looks at to tell binary from text: https://github.com/git/git/blob/master/xdiff-interface.c */
const HEAD = 8_000;
/** As much of a line that is too long as anybody looks at, in bytes. */
const MAX_SHOWN = 1_000;
const LF = 0x0a;

/** A line of cells that csv-parse can take apart without reading on into the next line (RFC 4180 §2, spaces allowed). */
const WELL_QUOTED =
  /^(?:[ \t]*"[^"]*(?:""[^"]*)*"[ \t]*|[^",]*)(?:,(?:[ \t]*"[^"]*(?:""[^"]*)*"[ \t]*|[^",]*))*$/;

export function tooLarge(what: string, maxBytes: number): AppError {
  return usageError(
    "csv_too_large",
    `${what} has more than ${maxBytes} bytes, the most that is taken: split it.`,
  );
}

/** The source's bytes without a byte order mark, once their head has shown them to be text. */
export async function* textChunks(
  source: AsyncIterable<Uint8Array | string>,
  { maxBytes, what }: CsvOptions,
): AsyncGenerator<Buffer, void, void> {
  let total = 0;
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of source) {
    const bytes =
      typeof chunk === "string"
        ? Buffer.from(chunk)
        : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    total += bytes.length;
    if (total > maxBytes) throw tooLarge(what, maxBytes);
    if (head === undefined) {
      yield bytes;
      continue;
    }
    head = Buffer.concat([head, bytes]);
    if (head.length < HEAD) continue;
    yield asText(head, what);
    head = undefined;
  }
  if (head !== undefined) yield asText(head, what);
}

function asText(bytes: Buffer, what: string): Buffer {
  const head = bytes.subarray(0, HEAD);
  const start = head.toString("latin1", 0, 4);
  const nuls = [0, 0];
  for (let at = head.indexOf(0); at !== -1; at = head.indexOf(0, at + 1))
    nuls[at % 2] = (nuls[at % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = nuls;
  // In UTF-16 every other byte of plain ASCII is NUL; a file that is mostly so needs no byte order mark to show it.
  const alternating = Math.min(even, odd) === 0 && even + odd > head.length / 4;
  if (/^(?:\xff\xfe|\xfe\xff)/.test(start) || alternating) {
    throw usageError("csv_encoding", `${what} is in UTF-16: save it as UTF-8.`);
  }
  if (start === "PK\x03\x04")
    throw usageError("csv_binary", `${what} is a workbook or an archive: save it as CSV, UTF-8.`);
  if (even + odd > 0)
    throw usageError("csv_binary", `${what} holds binary data, not text: save it as CSV, UTF-8.`);
  return start.startsWith("\xef\xbb\xbf") ? bytes.subarray(3) : bytes;
}

export interface PhysicalLine {
  number: number;
  /** Without the line feed; of a line that is too long only the start. */
  bytes: Buffer;
  isTooLong: boolean;
}

export async function* physicalLines(
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<PhysicalLine[], void, void> {
  let number = 0;
  let parts: Buffer[] = [];
  let length = 0;
  const add = (part: Buffer) => {
    // One byte more than a line may have, for the carriage return that does not count.
    if (length <= MAX_LINE) parts.push(part.subarray(0, MAX_LINE + 1 - length));
    length += part.length;
  };
  const finish = (): PhysicalLine => {
    const whole = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
    const bytes = whole.at(-1) === 0x0d ? whole.subarray(0, -1) : whole;
    const isTooLong = length - (whole.length - bytes.length) > MAX_LINE;
    parts = [];
    length = 0;
    return { number: ++number, bytes, isTooLong };
  };
  for await (const chunk of chunks) {
    let lines: PhysicalLine[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      add(chunk.subarray(start, end));
      start = end + 1;
      if (lines.push(finish()) < BATCH) continue;
      yield lines;
      lines = [];
    }
    add(chunk.subarray(start));
    if (lines.length > 0) yield lines;
  }
  if (length > 0) yield [finish()];
}

export interface Line {
  number: number;
  text: string;
  /** Why it cannot be taken apart, the letter that betrays the cell, and the cells as far as they can be guessed. */
  flaw?: { reason: string; sign: string | undefined; cells: string[] };
}

/** The line as text; undefined if it is blank or a comment. */
export function readLine({ number, bytes, isTooLong }: PhysicalLine): Line | undefined {
  const text = bytes.toString("utf8", 0, isTooLong ? MAX_SHOWN : bytes.length);
  const start = text.trimStart();
  if (start.startsWith("#") || (/^[\s,]*$/.test(text) && !isTooLong)) return undefined;
  if (isTooLong) {
    const reason = `the line has more than ${MAX_LINE} bytes`;
    return { number, text, flaw: { reason, sign: undefined, cells: [shown(text)] } };
  }
  if (!isUtf8(bytes)) {
    const reason = "the line is not valid UTF-8, so some of its letters are lost: save the file as UTF-8";
    return { number, text, flaw: { reason, sign: "\ufffd", cells: splitLoosely(text) } };
  }
  if (!text.includes('"') || WELL_QUOTED.test(text)) return { number, text };
  const isOdd = text.split('"').length % 2 === 0;
  const reason = isOdd
    ? "a quotation mark is opened and not closed on this line"
    : "a quotation mark stands inside a cell: quote the whole cell, and write each mark inside it twice";
  return { number, text, flaw: { reason, sign: '"', cells: splitLoosely(text) } };
}

/** Cells for a person to recognise and mend; a stray quotation mark stays, so that nobody imports them by mistake. */
function splitLoosely(text: string): string[] {
  return text.split(",").map((cell) => cell.replace(/^\s*"([^"]*)"\s*$/, "$1"));
}
