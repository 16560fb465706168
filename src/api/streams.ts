import { Readable } from "node:stream";
import { inTime } from "./time-limit.ts";

/** As much text as goes into one write, in characters. */
const PIECE = 16_384;

/**
 * A long answer: read as the caller takes it, and broken off where its source falls silent. `atOnce`: each part goes
 * out as it comes, where somebody waits for it; else they are collected.
 */
export function longAnswer(parts: AsyncIterable<string>, { atOnce = false } = {}): Readable {
  const steps = stepwise(parts);
  return Readable.from(atOnce ? steps : inPieces(steps), { objectMode: false });
}

async function* inPieces(parts: AsyncIterable<string>): AsyncGenerator<string> {
  let piece = "";
  for await (const part of parts) {
    piece += part;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = "";
  }
  if (piece !== "") yield piece;
}

/** Each step has its own time limit, so that a long answer to a slow caller is no matter. */
async function* stepwise<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let silent = false;
  try {
    for (;;) {
      const next = await inTime(iterator.next(), () => {
        silent = true;
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // One that is silent would not answer this either.
    if (!silent) await iterator.return?.();
  }
}

/** The same JSON object with more fields at its head. */
export async function* withFields(
  fields: Readonly<Record<string, unknown>>,
  object: AsyncIterable<string>,
): AsyncGenerator<string> {
  let head = `${JSON.stringify(fields).slice(0, -1)},`;
  for await (const part of object) {
    yield head === "" ? part : head + part.slice(1);
    head = "";
  }
}

/** The same JSON object with one more member at its head, whose JSON text comes in pieces too. */
export async function* withMember(
  name: string,
  member: AsyncIterable<string>,
  object: AsyncIterable<string>,
): AsyncGenerator<string> {
  yield `{${JSON.stringify(name)}:`;
  yield* member;
  let separator = ",";
  for await (const part of object) {
    yield separator === "" ? part : separator + part.slice(1);
    separator = "";
  }
}
