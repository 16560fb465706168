/** The physical lines of a file of any size, and the file again with some of them changed. */

export interface FileLine {
  /** From 1. */
  number: number;
  /** Where it stands in the file, in bytes; without what ends it, and without a byte order mark. */
  start: number;
  end: number;
  text: string;
}

const LF = 0x0a;
const CR = 0x0d;
const MARK = [0xef, 0xbb, 0xbf] as const;

/**
 * All lines in the file's order, those of one chunk at a time: what awaits between them gives the page time to breathe.
 * Holds one chunk and one line.
 */
export async function* fileLines(file: Blob): AsyncGenerator<FileLine[], void, void> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let number = 0;
  /** Where the chunk begins, and the line that it goes on with. */
  let chunkAt = 0;
  let lineAt = 0;
  let before: Uint8Array[] = [];
  const finish = (last: Uint8Array): FileLine => {
    const bytes = before.length === 0 ? last : joined([...before, last]);
    const from = number === 0 && MARK.every((byte, index) => bytes[index] === byte) ? MARK.length : 0;
    const to = bytes.at(-1) === CR ? bytes.length - 1 : bytes.length;
    const line = {
      number: ++number,
      start: lineAt + from,
      end: lineAt + to,
      text: decoder.decode(bytes.subarray(from, to)),
    };
    before = [];
    return line;
  };
  for await (const chunk of chunksOf(file)) {
    const lines: FileLine[] = [];
    let from = 0;
    for (let to = chunk.indexOf(LF); to !== -1; to = chunk.indexOf(LF, from)) {
      lines.push(finish(chunk.subarray(from, to)));
      from = to + 1;
      lineAt = chunkAt + from;
    }
    if (from < chunk.length) before.push(chunk.slice(from));
    chunkAt += chunk.length;
    if (lines.length > 0) yield lines;
  }
  if (before.length > 0) yield [finish(new Uint8Array())];
}

/** Not every browser can walk over a stream with `for await`. */
async function* chunksOf(file: Blob): AsyncGenerator<Uint8Array, void, void> {
  const reader = file.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * The file with other text in some lines, so that the numbers of all lines stay as they are; all other bytes are those
 * of the file.
 */
export function withLines(
  file: Blob,
  changes: readonly { line: Pick<FileLine, "start" | "end">; text: string }[],
): Blob {
  const parts: (Blob | string)[] = [];
  let at = 0;
  for (const { line, text } of [...changes].sort((a, b) => a.line.start - b.line.start)) {
    parts.push(file.slice(at, line.start), text);
    at = line.end;
  }
  parts.push(file.slice(at));
  return new Blob(parts, { type: "text/csv" });
}
