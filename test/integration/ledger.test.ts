/** What may be asked of a CA, kept in a real Redis. */
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { Ledger, type Verdict } from "../../src/limits/ledger.ts";
import { type CertificateLimit, type Limit, limitsOf } from "../../src/limits/table.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { makeLimits } from "../support/limits.ts";
import { waitUntil } from "../support/temp.ts";
import { withRedis } from "../support/with-redis.ts";

const HOUR = 3_600_000;
const OK = { ok: true };

let redis: Redis;

withRedis((client) => {
  redis = client;
});

function ledgerWith(limits: Partial<Record<CertificateLimit, Limit>>, account = "inhouse"): Ledger {
  return new Ledger(redis, account, limitsOf("inhouse", { certificates: limits }));
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
    const free = new Ledger(redis, "free", makeLimits());
    for (let i = 0; i < 10; i++) expect(await free.holdValidations(`c#${i}`, ["a.example"])).toEqual(OK);
    await free.validationsFailed("c#1", ["a.example"]);
    expect(await redis.exists(keys.validations("free", "a.example"))).toBe(0);
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

  it("leaves nothing of itself behind in Redis", async () => {
    await hold("c#0");
    await ledger.validationsFailed("c#1", ["b.example"]);
    const windows = ["a.example", "b.example"].map((name) => keys.validations("inhouse", name));
    expect(await redis.exists(...windows)).toBe(2);
    await waitUntil(async () => (await redis.exists(...windows)) === 0, {
      timeoutMs: 3_000,
      what: "the keys to end",
    });
  });
});

describe("a row of failures", () => {
  const START = Date.UTC(2026, 10, 25);
  let now: number;
  let ledger: Ledger;
  beforeEach(() => {
    now = START;
    ledger = new Ledger(redis, "inhouse", makeLimits(), () => now);
  });

  it("grows by one with each order that fails, and keeps the moment of the first", async () => {
    expect(await ledger.streak(["a.example"])).toBeUndefined();
    for (let i = 1; i <= 3; i++) {
      await ledger.validationsFailed(`a.example#${i}`, ["a.example"]);
      now += HOUR;
    }
    expect(await ledger.streak(["a.example"])).toEqual({ name: "a.example", count: 3, since: START });
  });

  it("counts an order once, however often its failure is told", async () => {
    for (let i = 0; i < 3; i++) await ledger.validationsFailed("a.example#1", ["a.example"]);
    expect(await ledger.streak(["a.example"])).toMatchObject({ count: 1 });
  });

  it("ends with a success, and begins anew", async () => {
    await ledger.validationsFailed("a.example#1", ["a.example"]);
    await ledger.validationsPassed("a.example#2", ["a.example"]);
    expect(await ledger.streak(["a.example"])).toBeUndefined();
    now += HOUR;
    await ledger.validationsFailed("a.example#3", ["a.example"]);
    expect(await ledger.streak(["a.example"])).toMatchObject({ count: 1, since: START + HOUR });
  });

  it("of several names is told of the one that has failed for the longest time", async () => {
    await ledger.validationsFailed("c#1", ["b.example"]);
    now += HOUR;
    for (let i = 2; i < 9; i++) await ledger.validationsFailed(`c#${i}`, ["a.example"]);
    const row = await ledger.streak(["never.example", "a.example", "b.example"]);
    expect(row).toEqual({ name: "b.example", count: 1, since: START });
  });
});

describe("a name that the CA has paused", () => {
  const pause = { detail: "Please visit: https://ca/unpause", url: "https://ca/unpause" };

  it("is known with the reason and the way out, for its account, until a person has ended it", async () => {
    const ledger = ledgerWith({});
    await ledger.pause(["a.example", "b.example"], pause);
    expect(await ledger.pauseOf("a.example")).toEqual(pause);
    expect(await ledgerWith({}, "other").pauseOf("a.example")).toBeUndefined();
    await ledger.unpause(["a.example"]);
    expect(await ledger.pauseOf("a.example")).toBeUndefined();
    expect(await ledger.pauseOf("b.example")).toEqual(pause);
  });

  it("takes nothing amiss when there is no name", async () => {
    const ledger = ledgerWith({});
    await ledger.pause([], pause);
    await ledger.unpause([]);
    expect(await redis.dbsize()).toBe(0);
  });
});

describe("registrations of accounts", () => {
  const newRegistrations = { count: 2, period: 2 * HOUR };

  it("are counted for each node, and the next one is allowed exactly after the wait", async () => {
    let now = Date.UTC(2026, 10, 25);
    const ledger = new Ledger(
      redis,
      "inhouse",
      makeLimits({ certificates: { newRegistrations } }),
      () => now,
    );
    expect([await ledger.takeRegistration("lb-1"), await ledger.takeRegistration("lb-1")]).toEqual([0, 0]);
    now += 60_000;
    expect(await ledger.takeRegistration("lb-1")).toBe(HOUR - 60_000);
    expect(await ledger.takeRegistration("lb-2")).toBe(0);
    now += HOUR - 60_000;
    expect(await ledger.takeRegistration("lb-1")).toBe(0);
  });

  it("are free where the CA is not known to limit them", async () => {
    for (let i = 0; i < 20; i++) expect(await ledgerWith({}).takeRegistration("lb-1")).toBe(0);
  });
});
