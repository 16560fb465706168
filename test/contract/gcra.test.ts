/** The token bucket twice: as arithmetic in this process, and as the scripts that all workers share in Redis. */
import { describe, expect, it } from "vitest";
import { emission } from "../../src/limits/gcra.ts";
import { exhaustScript, settleScript, takeScript } from "../../src/limits/scripts.ts";
import type { Limit } from "../../src/limits/table.ts";
import type { Redis } from "../../src/store/redis.ts";
import type { Script } from "../../src/store/script.ts";
import { randomFrom } from "../support/random.ts";
import { exhaustedUntil, spend } from "../support/token-bucket.ts";
import { withRedis } from "../support/with-redis.ts";

let redis: Redis;

withRedis((client) => {
  redis = client;
});

interface Observed {
  /** Every millisecond at which the script may have run: nearly always one. */
  at: number[];
  /** The bucket's state before and after; 0 where there is no key, which is a full bucket. */
  before: number;
  after: number;
  result: unknown;
}

/** As an order knows it that holds a token of it: limit, account, subject. */
const BUCKET = "certificatesPerDomain:ca:a.example";
/** By Redis's own clock. */
const CLOCK = 0;

/** Runs a script between two looks at Redis's clock and at the bucket, with nothing else in between. */
async function observed(script: Script, keys: string[], args: (number | string)[]): Promise<Observed> {
  script.pipeline(redis);
  const transaction = redis.multi().time().get(BUCKET);
  script.queue(transaction, keys, [CLOCK, ...args]);
  const results = await transaction.get(BUCKET).time().exec();
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
      const operation = random.below(20);
      if (operation < 15) {
        const { at, before, after, result } = await observed(takeScript, [BUCKET], args);
        const expected = at.map((now) => {
          const decision = spend(limit, before, now);
          return { wait: decision.wait, after: decision.tat };
        });
        expect(expected).toContainEqual({ wait: result, after });
        seen[result === 0 ? "taken" : "refused"]++;
      } else if (operation < 17) {
        // Full again, as it would be after a period.
        await redis.del(BUCKET);
      } else if (operation < 19) {
        // What was held before is spent in any case: the CA has counted it.
        await redis.hset("holding", BUCKET, emission(limit));
        const settled = ["holder", "spend", ""];
        const keys = ["holding", "", "holds:", "room:", "rooms"];
        const { at, before, after } = await observed(settleScript, keys, settled);
        expect(at.map((now) => Math.max(now, before) + emission(limit))).toContain(after);
        expect(await redis.exists("holding")).toBe(0);
      } else {
        const wait = random.below(50);
        const keys = [BUCKET, "holds", "room", "rooms"];
        const { at, before, after } = await observed(exhaustScript, keys, [...args, wait, "0", BUCKET]);
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
    async exhaust(limit, wait) {
      tat = Math.max(tat, exhaustedUntil(limit, Date.now() + wait));
    },
  };
}

function inRedis(): Bucket {
  return {
    async take(limit) {
      return Number(await takeScript.run(redis, ["b"], [CLOCK, emission(limit), limit.count]));
    },
    async exhaust(limit, wait) {
      const args = [CLOCK, emission(limit), limit.count, wait, "0", "b"];
      await exhaustScript.run(redis, ["b", "holds", "room", "rooms"], args);
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

describe("a bucket in Redis", () => {
  const limit = { count: 3, period: 3_600_000 };
  const args = [emission(limit), limit.count];

  it("leaves a key that ends by itself when the bucket is full", async () => {
    expect(await takeScript.run(redis, ["a"], [CLOCK, ...args])).toBe(0);
    expect(await redis.pttl("a")).toBeLessThanOrEqual(emission(limit));
    expect(await redis.pttl("a")).toBeGreaterThan(emission(limit) - 60_000);
  });

  it("goes by the test's clock where it is given one", async () => {
    const take = async (now: number) => await takeScript.run(redis, ["a"], [now, ...args]);
    const now = Date.UTC(2030, 0, 1);
    expect([await take(now), await take(now), await take(now)]).toEqual([0, 0, 0]);
    expect(await take(now + 1)).toBe(emission(limit) - 1);
    expect(await take(now + emission(limit) - 1)).toBe(1);
    expect(await take(now + emission(limit))).toBe(0);
  });
});
