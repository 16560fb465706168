/** What becomes of jobs, in real queues: done, later, held, failed, cut off, killed. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Consumer, consume, DONE, type Handler } from "../../src/queue/consumer.ts";
import { Producer } from "../../src/queue/producer.ts";
import type { Redis } from "../../src/store/redis.ts";
import { startProcess } from "../support/process.ts";
import type { RedisServer } from "../support/redis.ts";
import { waitUntil } from "../support/temp.ts";
import { withRedis } from "../support/with-redis.ts";

interface Work {
  n: number;
  step?: string;
}

const QUEUE = "work";
const HOLDER = fileURLToPath(new URL("../support/queue-holder.ts", import.meta.url));

let server: RedisServer;
let redis: Redis;
let producer: Producer;
let consumers: Consumer[];
let faults: string[];

withRedis((client, started) => {
  redis = client;
  server = started;
});

beforeEach(async () => {
  producer = new Producer(redis);
  consumers = [];
  faults = [];
});

afterEach(async () => {
  await Promise.all(consumers.map((consumer) => consumer.close()));
  await producer.close();
});

function start(handle: Handler<Work>, options: { concurrency?: number; holdable?: boolean } = {}): Consumer {
  const { concurrency = 1, holdable = false } = options;
  const onFault = (error: Error, { n }: Work): void => {
    faults.push(`${n}: ${error.message}`);
  };
  // Each worker of its own process has a connection of its own.
  const own = server.client();
  const consumer = consume<Work>({ queue: QUEUE, redis: own, concurrency, holdable, handle, onFault });
  consumers.push(consumer);
  return consumer;
}

async function add(n: number, priority = 50): Promise<void> {
  const leaveNothing = { removeOnComplete: true, removeOnFail: true };
  await producer.queue(QUEUE).add("work", { n }, { jobId: `w-${n}`, priority, ...leaveNothing });
}

async function counts(): Promise<Record<string, number>> {
  const all = await producer.queue(QUEUE).getJobCounts();
  return Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0));
}

async function untilEmpty(): Promise<void> {
  await waitUntil(async () => Object.keys(await counts()).length === 0, { what: "the queue to be empty" });
}

describe("a job", () => {
  it("that is done leaves nothing behind, so that its id is free for the next one", async () => {
    const seen: number[] = [];
    start(async ({ n }, { priority }) => {
      seen.push(n, priority);
      return DONE;
    });
    await add(1, 7);
    await untilEmpty();
    await add(1, 8);
    await waitUntil(() => seen.length === 4);
    expect(seen).toEqual([1, 7, 1, 8]);
  });

  it("that comes back later does so with what it has saved, and not before", async () => {
    const seen: { data: Work; at: number }[] = [];
    start(async (data) => {
      seen.push({ data, at: Date.now() });
      if (seen.length === 1)
        return { kind: "later", at: Date.now() + 300, data: { ...data, step: "polling" } };
      if (seen.length === 2) return { kind: "later", at: Date.now() };
      return DONE;
    });
    await add(1);
    await untilEmpty();
    expect(seen.map(({ data }) => data.step)).toEqual([undefined, "polling", "polling"]);
    expect((seen[1]?.at ?? 0) - (seen[0]?.at ?? 0)).toBeGreaterThanOrEqual(299);
  });

  it("that waits for its time holds up no other one", async () => {
    const seen: number[] = [];
    start(async ({ n }) => {
      seen.push(n);
      return n === 1 && seen.length === 1 ? { kind: "later", at: Date.now() + 400 } : DONE;
    });
    for (const n of [1, 2, 3]) await add(n);
    await untilEmpty();
    expect(seen).toEqual([1, 2, 3, 1]);
  });

  it("comes back however often, as none of it counts as a failed attempt", async () => {
    let turns = 0;
    start(async () => (++turns < 40 ? { kind: "later", at: Date.now() } : DONE));
    await add(1);
    await untilEmpty();
    expect(turns).toBe(40);
  });

  it("of which a step throws is told of, and tried again with the checkpoint that it had saved", async () => {
    const seen: Work[] = [];
    start(async (data, { save }) => {
      seen.push(data);
      if (data.step !== undefined) return DONE;
      await save({ ...data, step: "ordered" });
      throw new Error("out of luck");
    });
    await add(1);
    await waitUntil(() => faults.length === 1);
    expect(faults).toEqual(["1: out of luck"]);
    await waitUntil(async () => (await counts()).delayed === 1);
    const job = await producer.queue(QUEUE).getJob("w-1");
    expect(job?.delay).toBeGreaterThan(9_000);
    await job?.promote();
    await untilEmpty();
    expect(seen).toEqual([{ n: 1 }, { n: 1, step: "ordered" }]);
  });

  it("that is more urgent goes first, and equals in the order in which they came", async () => {
    for (const [i, priority] of [50, 50, 90, 1, 50, 1].entries()) await add(i + 1, priority);
    const seen: number[] = [];
    start(async ({ n }) => {
      seen.push(n);
      return DONE;
    });
    await untilEmpty();
    expect(seen).toEqual([4, 6, 1, 2, 5, 3]);
  });
});

describe("a queue that is held", () => {
  const LENGTH = 500;

  it("gives nothing to any worker until then, and goes on in the same order, but for what is urgent", async () => {
    await producer.queue(QUEUE).setGlobalConcurrency(1);
    const seen: { n: number; at: number }[] = [];
    let held: number | undefined;
    const handle: Handler<Work> = async ({ n }) => {
      if (n === 3 && held === undefined) {
        held = Date.now();
        return { kind: "hold", ms: LENGTH };
      }
      seen.push({ n, at: Date.now() });
      return DONE;
    };
    for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) await add(n);
    for (let i = 0; i < 2; i++) start(handle, { holdable: true });
    await waitUntil(() => held !== undefined);
    await add(9, 1);
    await untilEmpty();
    const again = Math.min(...seen.filter(({ n }) => n > 2).map(({ at }) => at));
    expect(again - (held ?? 0)).toBeGreaterThanOrEqual(LENGTH - 2);
    expect(seen.map(({ n }) => n)).toEqual([1, 2, 9, 3, 4, 5, 6, 7, 8]);
  });

  it("keeps its order through many holds, one before each job", async () => {
    await producer.queue(QUEUE).setGlobalConcurrency(1);
    const all = Array.from({ length: 15 }, (_, i) => i + 1);
    for (const n of all) await add(n);
    const seen: number[] = [];
    const refused = new Set<number>();
    const handle: Handler<Work> = async ({ n }) => {
      if (refused.has(n)) {
        seen.push(n);
        return DONE;
      }
      refused.add(n);
      return { kind: "hold", ms: 20.5 };
    };
    for (let i = 0; i < 2; i++) start(handle, { holdable: true });
    await untilEmpty();
    expect(seen).toEqual(all);
  });
});

describe("a worker that is closed", () => {
  it("tells its handlers to stop, and leaves their jobs to the next one", async () => {
    const begun: number[] = [];
    const handle: Handler<Work> = async (data, { signal }) => {
      begun.push(data.n);
      await once(signal, "abort");
      return { kind: "later", at: Date.now(), data: { ...data, step: "cut" } };
    };
    const first = start(handle, { concurrency: 5 });
    for (const n of [1, 2, 3, 4, 5, 6, 7]) await add(n);
    await waitUntil(() => begun.length === 5);
    await first.close();
    expect(await counts()).toEqual({ delayed: 5, prioritized: 2 });
    const finished: Work[] = [];
    start(async (data) => {
      finished.push(data);
      return DONE;
    });
    await untilEmpty();
    expect(finished.map(({ n }) => n).sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(finished.filter(({ step }) => step === "cut")).toHaveLength(5);
  });

  it("leaves a job of which the step throws for being cut off, and tells of no fault", async () => {
    let begun = false;
    const first = start(async (_, { signal }) => {
      begun = true;
      await sleep(60_000, undefined, { signal });
      return DONE;
    });
    await add(1);
    await waitUntil(() => begun);
    await first.close();
    expect(await counts()).toEqual({ delayed: 1 });
    expect((await producer.queue(QUEUE).getJob("w-1"))?.delay).toBeLessThan(1_000);
    expect(faults).toEqual([]);
  });
});

describe("a worker process that is killed", () => {
  it("leaves its jobs to another one, which has them within 15 s", async () => {
    const args = ["--import", "tsx", HOLDER, server.url, QUEUE];
    const holder = startProcess(process.execPath, args, { cwd: process.cwd() });
    for (const n of [1, 2, 3, 4]) await add(n);
    await holder.ready(() => holder.lines().includes("holding 3"));
    await holder.kill9();
    const killed = Date.now();
    expect(await counts()).toEqual({ active: 3, prioritized: 1 });
    const seen: number[] = [];
    start(async ({ n }) => {
      seen.push(n);
      return DONE;
    });
    await waitUntil(() => seen.length === 4, { timeoutMs: 15_000 - (Date.now() - killed) });
    expect([...seen].sort()).toEqual([1, 2, 3, 4]);
    expect(seen[0]).toBe(4);
  });
});
