import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Batcher, type BatcherOptions } from "../../../src/queue/batcher.ts";

function doubling(options: Partial<BatcherOptions<number, number>> = {}) {
  const batches: number[][] = [];
  let running = 0;
  let most = 0;
  const batcher = new Batcher<number, number>({
    run: async (items) => {
      batches.push([...items]);
      most = Math.max(most, ++running);
      await sleep(5);
      running--;
      return items.map((item) => 2 * item);
    },
    most: 10,
    gather: 5,
    stopped: -1,
    ...options,
  });
  return { batcher, batches, mostAtOnce: () => most };
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

describe("Batcher", () => {
  it("gives each item its own result, in batches of one size at most, one at a time", async () => {
    const { batcher, batches, mostAtOnce } = doubling();
    expect(await Promise.all(upTo(35).map((n) => batcher.add(n)))).toEqual(upTo(35).map((n) => 2 * n));
    expect(batches.map(({ length }) => length)).toEqual([10, 10, 10, 5]);
    expect(mostAtOnce()).toBe(1);
  });

  it("gathers what comes in shortly after the first", async () => {
    const { batcher, batches } = doubling({ gather: 40 });
    const first = batcher.add(1);
    await sleep(10);
    await Promise.all([first, batcher.add(2)]);
    expect(batches).toEqual([[1, 2]]);
  });

  it("takes up what comes in whenever that is, also just as a batch has ended", async () => {
    const { batcher, batches } = doubling({ gather: 0 });
    for (const n of upTo(50)) expect(await batcher.add(n)).toBe(2 * n);
    expect(batches).toHaveLength(50);
  });

  it("begins no batch before it may, and puts into it what has come meanwhile", async () => {
    let pause = 50;
    const { batcher, batches } = doubling({
      rest: async () => {
        const now = pause;
        pause = 0;
        return now;
      },
    });
    const first = batcher.add(1);
    await sleep(25);
    expect(batches).toEqual([]);
    await Promise.all([first, batcher.add(2)]);
    expect(batches).toEqual([[1, 2]]);
  });

  it("fails the items of a batch that fails, and no others", async () => {
    const { batcher } = doubling({
      most: 1,
      run: async ([item = 0]) => {
        if (item === 1) throw new Error("the second one");
        return [item];
      },
    });
    const results = await Promise.allSettled(upTo(3).map((n) => batcher.add(n)));
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });

  it("ends the batch in hand when it is stopped, and gives the others back", async () => {
    const { batcher, batches } = doubling({ gather: 0, most: 2 });
    const all = Promise.all(upTo(6).map((n) => batcher.add(n)));
    while (batches.length === 0) await sleep(1);
    await batcher.stop();
    expect(await all).toEqual([0, 2, -1, -1, -1, -1]);
    expect(await batcher.add(7)).toBe(-1);
  });
});
