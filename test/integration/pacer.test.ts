/** The pace of requests to one CA, shared by processes through a real Redis. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Pacer } from "../../src/limits/pacer.ts";
import type { Redis } from "../../src/store/redis.ts";
import { makeLimits } from "../support/limits.ts";
import type { RedisServer } from "../support/redis.ts";
import { waitUntil } from "../support/temp.ts";
import { withRedis } from "../support/with-redis.ts";

const GAP = 25;
/** One nonce every 25 ms, orders ten times as often, directories as often as one likes. */
const LIMITS = makeLimits({
  requests: { newNonce: { count: 40, period: 1_000 }, newOrder: { count: 400, period: 1_000 } },
});

let server: RedisServer;
let redis: Redis;
let pacers: Pacer[];

withRedis((client, started) => {
  redis = client;
  server = started;
});

beforeEach(async () => {
  pacers = [];
});

afterEach(async () => {
  await Promise.all(pacers.map((pacer) => pacer.close()));
});

function makePacer(ca = "inhouse"): Pacer {
  const pacer = new Pacer(server.client(), ca, LIMITS);
  pacers.push(pacer);
  return pacer;
}

/** Takes so many turns of each pacer, all asked for at once, and returns the moments, in order. */
async function moments(turns: number, ...of: Pacer[]): Promise<number[]> {
  const all = of.flatMap((pacer) =>
    Array.from({ length: turns }, () => pacer.turn("newNonce").then(() => performance.now())),
  );
  return (await Promise.all(all)).sort((a, b) => a - b);
}

async function connections(): Promise<number> {
  return String(await redis.client("LIST"))
    .split("\n")
    .filter((line) => line.includes("certherd:pacer")).length;
}

/**
 * A window ten gaps long holds eleven requests, and 21 where each pacer kept a pace of its own. Loosely, as a slow
 * machine lets them arrive bunched.
 */
function expectPace(at: readonly number[]): void {
  for (const start of at) {
    const inWindow = at.filter((moment) => moment >= start && moment < start + 10 * GAP);
    expect(inWindow.length).toBeLessThan(20);
  }
  expect((at.at(-1) ?? 0) - (at[0] ?? 0)).toBeGreaterThan(0.6 * (at.length - 1) * GAP);
}

describe("two pacers of one CA", () => {
  it("keep its pace between them", async () => {
    expectPace(await moments(15, makePacer(), makePacer()));
  });

  it("go on, and keep it, after Redis has lost everything", async () => {
    const [a, b] = [makePacer(), makePacer()];
    await moments(3, a, b);
    await redis.flushall();
    expectPace(await moments(10, a, b));
    await redis.flushall();
    expectPace(await moments(10, b));
  });

  it("go on after Redis was away", async () => {
    const [a, b] = [makePacer(), makePacer()];
    await moments(2, a, b);
    await server.restart();
    expectPace(await moments(5, a, b));
  });
});

describe("a pacer", () => {
  it("does not hold up what is of another class, of another CA, or not limited", async () => {
    const [here, there] = [makePacer(), makePacer("elsewhere")];
    const order: string[] = [];
    const note = (what: string) => () => void order.push(what);
    await here.turn("newNonce");
    const slow = Promise.all(Array.from({ length: 40 }, () => here.turn("newNonce"))).then(note("nonces"));
    await Promise.all([
      here.turn("newOrder").then(note("order")),
      here.turn("directory").then(note("directory")),
      there.turn("newNonce").then(note("elsewhere")),
    ]);
    expect(order.sort()).toEqual(["directory", "elsewhere", "order"]);
    await slow;
  });

  it("leaves no connection when it is closed", async () => {
    const pacer = makePacer();
    await moments(3, pacer);
    expect(await connections()).toBeGreaterThan(0);
    await pacer.close();
    await waitUntil(async () => (await connections()) === 0);
  });

  it("needs no connection where a CA limits nothing", async () => {
    const pacer = new Pacer(redis, "inhouse", makeLimits());
    pacers.push(pacer);
    await pacer.turn("newOrder");
    expect(await connections()).toBe(0);
    expect(await redis.dbsize()).toBe(0);
  });
});
