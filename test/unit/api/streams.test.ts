import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { longAnswer, withFields } from "../../../src/api/streams.ts";
import { waitUntil } from "../../support/temp.ts";

async function* parts(...list: string[]): AsyncGenerator<string> {
  yield* list;
}

describe("longAnswer", () => {
  it("gives all parts in few pieces", async () => {
    const list = Array.from({ length: 5_000 }, (_, index) => `${index},`);
    const sizes: number[] = [];
    const stream = longAnswer(parts(...list));
    stream.on("data", (piece: Buffer) => sizes.push(piece.length));
    expect(await text(stream)).toBe(list.join(""));
    expect(sizes.length).toBeLessThan(5);
  });

  it("lets go of its source when nobody reads on", async () => {
    let closed = false;
    async function* source(): AsyncGenerator<string> {
      try {
        for (;;) yield "x".repeat(20_000);
      } finally {
        closed = true;
      }
    }
    const stream = longAnswer(source());
    for await (const _ of stream) break;
    await waitUntil(() => closed);
  });

  it("passes an error of its source on", async () => {
    async function* source(): AsyncGenerator<string> {
      yield "a";
      throw new Error("lost");
    }
    await expect(text(longAnswer(source()))).rejects.toThrow("lost");
  });
});

describe("withFields", () => {
  it("puts fields at the head of an object", async () => {
    const document = await text(
      longAnswer(withFields({ read: true, open: 2 }, parts('{"import":"i"', ',"n":[', "]}\n"))),
    );
    expect(JSON.parse(document)).toEqual({ read: true, open: 2, import: "i", n: [] });
  });
});
