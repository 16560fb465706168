import { once } from "node:events";
import type { Readable } from "node:stream";
import { usageError } from "../core/errors.ts";

/** Where a command writes, so that a test can listen. Results go to `out`, everything else to `err`. */
export interface Io {
  out: NodeJS.WritableStream & { isTTY?: boolean };
  err: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
}

export const processIo: Io = { out: process.stdout, err: process.stderr };

/** Whoever reads the output may have seen enough (`certherd list | head`): that is no fault. */
export function outliveReader({ out }: Io): void {
  out.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

export function print(io: Io, line = ""): void {
  io.out.write(`${line}\n`);
}

export function note(io: Io, line: string): void {
  io.err.write(`${line}\n`);
}

/** Writes pieces of any number, at the pace of whoever reads them. */
export async function printPieces(io: Io, pieces: AsyncIterable<string> | Readable): Promise<void> {
  for await (const piece of pieces) {
    // Nobody reads any more: what is left need not even be made.
    if (!io.out.writable) return;
    if (!io.out.write(piece))
      await Promise.race([once(io.out, "drain"), once(io.out, "close")]).catch(() => undefined);
  }
}

/** Control characters would move a terminal's cursor: a CA's words and a CSV's cells are not ours. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, " ");
}

/** A table of left-aligned columns; the last one takes what it needs. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map(plain));
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => (column === head.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join("  "),
    )
    .map((line) => line.trimEnd())
    .join("\n");
}

/** One of a fixed set of words that an option takes. */
export function oneOf<T extends string>(option: string, value: string, words: readonly T[]): T {
  const found = words.find((word) => word === value);
  if (found) return found;
  throw usageError("bad_option", `${option} is "${plain(value)}"; it must be one of ${words.join(", ")}.`);
}
