/** What may be asked of a CA, kept in a real Redis. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Ledger, type Verdict } from "../../src/limits/ledger.ts";
import { type CertificateLimit, type Limit, limitsOf } from "../../src/limits/table.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { waitUntil } from "../support/temp.ts";

const HOUR = 3_600_000;
const OK = { ok: true };

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

function ledgerWith(limits: Partial<Record<CertificateLimit, Limit>>, account = "inhouse"): Ledger {
  return new Ledger(redis, account, limitsOf("inhouse", limits));
}

function waitOf(verdict: Verdict): number {
  return verdict.ok ? 0 : verdict.wait;
}

/** By the clock that the ledger goes by. */
async function redisNow(): Promise<number> {
  const [seconds = 0, micros = 0] = (await redis.time()).map(Number);
  return seconds * 1_000 + Math.floor(micros / 1_000);
}

describe("validations of one name", () => {
  let ledger: Ledger;
  beforeEach(() => {
    ledger = ledgerWith({ failedAuthorizations: { count: 5, period: HOUR } });
  });
  const hold = (holder: string, ...names: string[]) => ledger.holdValidations(holder, names);

  it("are five in an hour, whoever asks for them", async () => {
    for (let i = 0; i < 5; i++) expect(await hold(`certificate-${i}#1`, "a.example")).toEqual(OK);
    const refused = await hold("certificate-5#1", "a.example");
    expect(refused).toMatchObject({ ok: false, name: "a.example" });
    expect(waitOf(refused)).toBeLessThanOrEqual(HOUR + 1);
    expect(waitOf(refused)).toBeGreaterThan(HOUR - 60_000);
  });

  it("do not count for another name, nor for another account", async () => {
    for (let i = 0; i < 5; i++) await hold(`c#${i}`, "a.example");
    expect(await hold("c#5", "b.example")).toEqual(OK);
    const other = ledgerWith({ failedAuthorizations: { count: 5, period: HOUR } }, "other");
    expect(await other.holdValidations("c#5", ["a.example"])).toEqual(OK);
  });

  it("that a holder comes back to are the same place still", async () => {
    for (let i = 0; i < 20; i++) expect(await hold("c#1", "a.example")).toEqual(OK);
    for (let i = 2; i < 6; i++) expect(await hold(`c#${i}`, "a.example")).toEqual(OK);
    expect(await hold("c#1", "a.example")).toEqual(OK);
    expect((await hold("c#6", "a.example")).ok).toBe(false);
  });

  it("that pass leave their place to others", async () => {
    for (let i = 0; i < 5; i++) await hold(`c#${i}`, "a.example");
    await ledger.validationsPassed("c#3", ["a.example"]);
    expect(await hold("c#5", "a.example")).toEqual(OK);
    expect((await hold("c#6", "a.example")).ok).toBe(false);
  });

  it("can be asked about without taking a place", async () => {
    for (let i = 0; i < 20; i++) expect(await ledger.canValidate(`c#${i}`, ["a.example"])).toEqual(OK);
    for (let i = 0; i < 5; i++) expect(await hold(`c#${i}`, "a.example")).toEqual(OK);
    expect((await ledger.canValidate("c#5", ["a.example"])).ok).toBe(false);
    expect(await ledger.canValidate("c#4", ["a.example"])).toEqual(OK);
  });

  it("are held for all names of a certificate or for none", async () => {
    for (let i = 0; i < 5; i++) await hold(`c#${i}`, "b.example");
    const refused = await hold("many#1", "a.example", "b.example", "c.example");
    expect(refused).toMatchObject({ ok: false, name: "b.example" });
    expect(await redis.exists(keys.validations("inhouse", "a.example"))).toBe(0);
    expect(await redis.exists(keys.validations("inhouse", "c.example"))).toBe(0);
  });

  it("name the one that has to wait the longest", async () => {
    for (let i = 0; i < 5; i++) await hold(`c#${i}`, "a.example");
    await sleep(20);
    for (let i = 0; i < 5; i++) await hold(`c#${i}`, "b.example");
    expect(await hold("c#9", "a.example", "b.example")).toMatchObject({ name: "b.example" });
    expect(await hold("c#9", "b.example", "a.example")).toMatchObject({ name: "b.example" });
  });

  it("are not asked about where there are no names, or no limit", async () => {
    expect(await hold("c#1")).toEqual(OK);
    const free = new Ledger(redis, "free", { certificates: {}, requests: {} });
    for (let i = 0; i < 10; i++) expect(await free.holdValidations(`c#${i}`, ["a.example"])).toEqual(OK);
    await free.validationsFailed("c#1", ["a.example"]);
    expect(await redis.dbsize()).toBe(0);
  });

  it("are five of those that ask at once", async () => {
    const verdicts = await Promise.all(Array.from({ length: 40 }, (_, i) => hold(`c#${i}`, "a.example")));
    expect(verdicts.filter(({ ok }) => ok)).toHaveLength(5);
  });
});

describe("the window", () => {
  const PERIOD = 400;
  let ledger: Ledger;
  beforeEach(() => {
    ledger = ledgerWith({ failedAuthorizations: { count: 3, period: PERIOD } });
  });
  const hold = (holder: string) => ledger.holdValidations(holder, ["a.example"]);

  it("has the next place exactly after the wait that it named", async () => {
    for (let i = 0; i < 3; i++) await hold(`c#${i}`);
    const asked = await redisNow();
    const wait = waitOf(await hold("c#3"));
    const answered = await redisNow();
    expect(wait).toBeGreaterThan(0);
    let refused = 0;
    for (;;) {
      const before = await redisNow();
      const verdict = await hold("c#3");
      if (verdict.ok) break;
      refused++;
      // Each refusal names the same moment, and none comes after it.
      expect(before + verdict.wait).toBeLessThanOrEqual(answered + wait);
      expect(before).toBeLessThan(answered + wait);
      await sleep(5);
    }
    expect(refused).toBeGreaterThan(0);
    expect(await redisNow()).toBeGreaterThanOrEqual(asked + wait - 1);
  });

  it("never lets through more than its count in any stretch of its length", async () => {
    const taken: { before: number; after: number }[] = [];
    for (let i = 0; taken.length < 9; i++) {
      const before = await redisNow();
      if ((await hold(`c#${i}`)).ok) taken.push({ before, after: await redisNow() });
      else await sleep(7);
    }
    for (const [i, { after }] of taken.slice(3).entries())
      expect(after - (taken[i]?.before ?? 0)).toBeGreaterThanOrEqual(PERIOD);
  });

  it("counts a failure from when it failed, not from when it was asked for", async () => {
    for (let i = 0; i < 3; i++) await hold(`c#${i}`);
    await sleep(PERIOD / 2);
    await ledger.validationsFailed("c#0", ["a.example"]);
    await ledger.validationsFailed("c#1", ["a.example"]);
    await ledger.validationsFailed("c#2", ["a.example"]);
    expect(waitOf(await hold("c#3"))).toBeGreaterThan(PERIOD / 2 + 1);
  });

  it("counts a failure whose place was lost", async () => {
    for (let i = 0; i < 3; i++) await ledger.validationsFailed(`c#${i}`, ["a.example"]);
    expect((await hold("c#3")).ok).toBe(false);
    expect(await hold("c#0")).toEqual(OK);
  });

  it("leaves nothing behind in Redis", async () => {
    await hold("c#0");
    await ledger.validationsFailed("c#1", ["b.example"]);
    expect(await redis.dbsize()).toBe(2);
    await waitUntil(async () => (await redis.dbsize()) === 0, { timeoutMs: 3_000, what: "the keys to end" });
  });
});

describe("new orders of an account", () => {
  const orders = { count: 3, period: 3 * HOUR };

  it("are a bucket that empties, with the wait until the next token", async () => {
    const ledger = ledgerWith({ newOrders: orders });
    const verdicts: Verdict[] = [];
    for (let i = 0; i < orders.count + 1; i++) verdicts.push(await ledger.takeOrder());
    expect(verdicts[0]).toEqual(OK);
    const last = verdicts.at(-1);
    expect(last).toMatchObject({ ok: false, name: "inhouse" });
    expect(waitOf(last ?? { ok: true })).toBeGreaterThan(HOUR - 60_000);
    expect(waitOf(last ?? { ok: true })).toBeLessThanOrEqual(HOUR);
    expect(await ledgerWith({ newOrders: orders }, "other").takeOrder()).toEqual(OK);
  });

  it("leave one token in hand, as the first to be sent may be the last to arrive", async () => {
    const ledger = ledgerWith({ newOrders: orders });
    let taken = 0;
    while ((await ledger.takeOrder()).ok) taken++;
    expect(taken).toBe(orders.count - 1);
  });

  it("that were never made come back", async () => {
    const ledger = ledgerWith({ newOrders: orders });
    while ((await ledger.takeOrder()).ok);
    await ledger.refundOrder();
    expect(await ledger.takeOrder()).toEqual(OK);
    expect((await ledger.takeOrder()).ok).toBe(false);
  });

  it("wait as long as the CA says", async () => {
    const ledger = ledgerWith({ newOrders: orders });
    await ledger.ordersExhausted(5_000.4);
    expect(waitOf(await ledger.takeOrder())).toBeGreaterThan(4_000);
    expect(waitOf(await ledger.takeOrder())).toBeLessThanOrEqual(5_001);
  });

  it("come back by themselves, and the key goes when the bucket is full", async () => {
    const ledger = ledgerWith({ newOrders: { count: 2, period: 200 } });
    while ((await ledger.takeOrder()).ok);
    await waitUntil(async () => (await ledger.takeOrder()).ok, { timeoutMs: 2_000, everyMs: 5 });
    await waitUntil(async () => (await redis.dbsize()) === 0, { timeoutMs: 2_000, what: "the key to end" });
  });

  it("are free where the CA is not known to limit them", async () => {
    const ledger = ledgerWith({});
    for (let i = 0; i < 20; i++) expect(await ledger.takeOrder()).toEqual(OK);
    await ledger.ordersExhausted(60_000);
    await ledger.refundOrder();
    expect(await ledger.takeOrder()).toEqual(OK);
    expect(await redis.dbsize()).toBe(0);
  });
});
