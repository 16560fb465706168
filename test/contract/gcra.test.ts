/** The token bucket twice: as arithmetic in this process, and as the scripts that all workers share in Redis. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { emission, exhaustedUntil, refund, spend } from "../../src/limits/gcra.ts";
import { exhaustScript, refundScript, takeScript } from "../../src/limits/scripts.ts";
import type { Limit } from "../../src/limits/table.ts";
import type { Redis } from "../../src/store/redis.ts";
import type { Script } from "../../src/store/script.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = server.client();
}, 120_000);

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  await redis.flushall();
});

interface Observed {
  /** Every millisecond at which the script may have run: nearly always one. */
  at: number[];
  /** The bucket's state before and after; 0 where there is no key, which is a full bucket. */
  before: number;
  after: number;
  result: unknown;
}

/** Runs a script between two looks at Redis's clock and at the bucket, with nothing else in between. */
async function observed(script: Script, args: number[]): Promise<Observed> {
  script.pipeline(redis);
  const transaction = redis.multi().time().get("bucket");
  script.queue(transaction, ["bucket"], args);
  const results = await transaction.get("bucket").time().exec();
  const [start, before, result, after, end] = (results ?? []).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
  const at: number[] = [];
  for (let ms = milliseconds(start); ms <= milliseconds(end); ms++) at.push(ms);
  return { at, before: Number(before), after: Number(after), result };
}

function milliseconds(time: unknown): number {
  const [seconds = 0, micros = 0] = (time as string[]).map(Number);
  return seconds * 1_000 + Math.floor(micros / 1_000);
}

/** Small numbers: the same sequence every time. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
}

/** From buckets that refill within the test to those that never do, odd divisions among them. */
const LIMITS: readonly Limit[] = [
  { count: 1, period: 40 },
  { count: 3, period: 10 },
  { count: 7, period: 100 },
  { count: 20, period: 20 },
  { count: 5, period: 3_600_000 },
  { count: 300, period: 10_800_000 },
];

describe.each(LIMITS)("a bucket of $count within $period ms", (limit) => {
  const args = [emission(limit), limit.count];
  /** A full bucket has no key in Redis; in the arithmetic its moment is past. */
  const shown = (tat: number, now: number) => (tat > now ? tat : 0);

  it("answers the same in both through a thousand random operations", async () => {
    const random = randomFrom(limit.count);
    const seen = { taken: 0, refused: 0 };
    for (let i = 0; i < 1_000; i++) {
      const operation = random(20);
      if (operation < 15) {
        const { at, before, after, result } = await observed(takeScript, args);
        const [wait] = result as number[];
        const expected = at.map((now) => {
          const decision = spend(limit, before, now);
          return { wait: decision.wait, after: decision.tat };
        });
        expect(expected).toContainEqual({ wait, after });
        seen[wait === 0 ? "taken" : "refused"]++;
      } else if (operation < 19) {
        const { at, before, after } = await observed(refundScript, [emission(limit)]);
        expect(at.map((now) => shown(refund(limit, before, now), now))).toContain(after);
      } else {
        const wait = random(50);
        const { at, before, after } = await observed(exhaustScript, [...args, wait]);
        const expected = (now: number) => Math.max(before, exhaustedUntil(limit, now + wait));
        expect(at.map((now) => shown(expected(now), now))).toContain(after);
      }
    }
    expect(seen.taken).toBeGreaterThan(3);
    expect(seen.refused).toBeGreaterThan(0);
  });
});

interface Bucket {
  take(limit: Limit): Promise<number>;
  refund(limit: Limit): Promise<void>;
  exhaust(limit: Limit, wait: number): Promise<void>;
}

function inProcess(): Bucket {
  let tat = 0;
  return {
    async take(limit) {
      const decision = spend(limit, tat, Date.now());
      tat = decision.tat;
      return decision.wait;
    },
    async refund(limit) {
      tat = refund(limit, tat, Date.now());
    },
    async exhaust(limit, wait) {
      tat = Math.max(tat, exhaustedUntil(limit, Date.now() + wait));
    },
  };
}

function inRedis(): Bucket {
  return {
    async take(limit) {
      const [wait = 0] = (await takeScript.run(redis, ["b"], [emission(limit), limit.count])) as number[];
      return wait;
    },
    async refund(limit) {
      await refundScript.run(redis, ["b"], [emission(limit)]);
    },
    async exhaust(limit, wait) {
      await exhaustScript.run(redis, ["b"], [emission(limit), limit.count, wait]);
    },
  };
}

/** Takes what is there, and returns how much that was. */
async function drain(bucket: Bucket, limit: Limit): Promise<number> {
  for (let taken = 0; ; taken++) if ((await bucket.take(limit)) > 0) return taken;
}

describe.each([
  ["arithmetic", inProcess],
  ["Redis", inRedis],
])("a bucket by %s", (_, make) => {
  /** One back every 12 minutes: none within this test. */
  const limit = { count: 5, period: 3_600_000 };

  it("holds its burst and no more, and says how long until the next", async () => {
    const bucket = make();
    expect(await drain(bucket, limit)).toBe(5);
    const wait = await bucket.take(limit);
    expect(wait).toBeLessThanOrEqual(720_000);
    expect(wait).toBeGreaterThan(720_000 - 60_000);
  });

  it("takes back what was not used, and never more than it holds", async () => {
    const bucket = make();
    await drain(bucket, limit);
    await bucket.refund(limit);
    await bucket.refund(limit);
    expect(await drain(bucket, limit)).toBe(2);
    for (let i = 0; i < 20; i++) await bucket.refund(limit);
    expect(await drain(bucket, limit)).toBe(5);
  });

  it("believes a CA that says it is empty, but not that it is fuller", async () => {
    const bucket = make();
    await bucket.exhaust(limit, 30_000_000);
    expect(await bucket.take(limit)).toBeGreaterThan(29_900_000);
    await bucket.exhaust(limit, 1);
    expect(await bucket.take(limit)).toBeGreaterThan(29_900_000);
  });

  it("can be told to be empty for no time at all", async () => {
    const bucket = make();
    await bucket.exhaust({ count: 1, period: 100 }, 0);
    await expect(bucket.take(limit)).resolves.toBe(0);
  });
});

describe("one token of several buckets", () => {
  const wide = { count: 3, period: 3_600_000 };
  const narrow = { count: 1, period: 7_200_000 };
  const args = [emission(wide), wide.count, emission(narrow), narrow.count];
  const take = async (keys: string[]) => (await takeScript.run(redis, keys, args)) as number[];

  it("is taken of all or of none, and the bucket that is empty the longest is told", async () => {
    expect(await take(["account", "a"])).toEqual([0]);
    const state = await redis.mget("account", "a");
    const [wait, which] = await take(["account", "a"]);
    expect(which).toBe(2);
    expect(wait).toBeGreaterThan(7_000_000);
    expect(await redis.mget("account", "a")).toEqual(state);
    expect(await take(["account", "b"])).toEqual([0]);
    expect(await take(["account", "c"])).toEqual([0]);
    const [, empty] = await take(["account", "d"]);
    expect(empty).toBe(1);
    expect(await redis.exists("d")).toBe(0);
  });

  it("is given back to all", async () => {
    await take(["account", "a"]);
    await refundScript.run(redis, ["account", "a"], [emission(wide), emission(narrow)]);
    expect(await redis.exists("account", "a")).toBe(0);
  });

  it("leaves keys that end by themselves when the buckets are full", async () => {
    await take(["account", "a"]);
    expect(await redis.pttl("account")).toBeLessThanOrEqual(emission(wide));
    expect(await redis.pttl("a")).toBeLessThanOrEqual(emission(narrow));
    expect(await redis.pttl("a")).toBeGreaterThan(emission(narrow) - 60_000);
  });
});
