/** The rate limits that tests hold Certherd against: Boulder's buckets, and when it looks into which. */
import { describe, expect, it } from "vitest";
import { goDuration, limitedAnswer, pausedAnswer } from "../../support/boulder-answers.ts";
import { Buckets } from "../../support/boulder-bucket.ts";
import { BoulderLimits, type BoulderOptions, type OrderRequest } from "../../support/boulder-limits.ts";
import { type Answer, headerOf } from "../../support/gate.ts";
import { Tallies } from "../../support/limited-ca-stats.ts";

const START = Date.UTC(2026, 10, 25);
const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

describe("a bucket", () => {
  const limit = { count: 3, periodMs: 3_000 };

  it("gives its burst at once, then one token for each part of the period", () => {
    const buckets = new Buckets(limit);
    const taken = [0, 0, 0, 0, 999, 1_000, 1_000, 3_000].map((at) => buckets.spend("a", START + at));
    expect(taken.map(({ allowed }) => allowed)).toEqual([true, true, true, false, false, true, false, true]);
    expect(taken.map(({ retryIn }) => retryIn)).toEqual([0, 0, 0, 1_000, 1, 0, 1_000, 0]);
  });

  it("loses nothing by refusals, and by looking", () => {
    const buckets = new Buckets(limit);
    for (let i = 0; i < 3; i++) buckets.spend("a", START);
    for (let i = 0; i < 50; i++) buckets.spend("a", START + i);
    for (let i = 0; i < 50; i++) expect(buckets.check("a", START + 1_000).allowed).toBe(true);
    expect(buckets.spend("a", START + 1_000).allowed).toBe(true);
  });

  it("holds no more than its burst, however long it is left alone and whatever is given back", () => {
    const buckets = new Buckets(limit);
    buckets.spend("a", START);
    for (let i = 0; i < 9; i++) buckets.refund("a", START + 10);
    expect(buckets.room("a", START + 10)).toBe(3_000);
    expect(buckets.room("a", START + DAY)).toBe(3_000);
    expect(buckets.room("never seen", START)).toBe(3_000);
  });

  it("keeps its keys apart, and is full after a reset", () => {
    const buckets = new Buckets({ count: 1, periodMs: 1_000 });
    expect(buckets.spend("a", START).allowed).toBe(true);
    expect(buckets.spend("b", START).allowed).toBe(true);
    expect(buckets.spend("a", START).allowed).toBe(false);
    buckets.reset("a");
    expect(buckets.spend("a", START).allowed).toBe(true);
  });

  it("counts in whole milliseconds, but for limits of hundreds a second", () => {
    expect(new Buckets({ count: 300, periodMs: 1_000 }).emission).toBe(3);
    expect(new Buckets({ count: 300, periodMs: 10 }).emission).toBe(1);
    expect(new Buckets({ count: 300, periodMs: 1_000 }, { fraction: true }).emission).toBeCloseTo(3.333, 3);
  });
});

/** Rules with a clock of their own. */
function open(options: BoulderOptions = {}) {
  const rules = new BoulderLimits(options);
  const clock = { now: START };
  const ask = (names: string | string[], more: Partial<OrderRequest> = {}) =>
    rules.newOrder({ account: "one", names: [names].flat(), ...more }, clock.now);
  const issue = (...names: string[]) => rules.issued(names, clock.now);
  const fail = (name: string, times = 1) => {
    for (let i = 0; i < times; i++) rules.failed("one", name, clock.now);
  };
  return { rules, clock, ask, issue, fail };
}

const refused = (limit: string, key: string, retryIn: number) => ({
  allowed: false,
  refusal: { limit, key, retryIn },
});
const allowed = { allowed: true, spent: true };
/** A limit that is not in the way. */
const off = { certificatesPerDomain: null, certificatesPerNameSet: null };

describe("new orders", () => {
  it("are 300 at once, then one every 36 seconds, for each account", () => {
    const { clock, ask } = open();
    for (let i = 0; i < 300; i++) expect(ask(`h${i}.example`)).toMatchObject(allowed);
    expect(ask("more.example")).toMatchObject(refused("newOrders", "one", 36 * SECOND));
    expect(ask("more.example", { account: "two" })).toMatchObject(allowed);
    clock.now += 36 * SECOND - 1;
    expect(ask("more.example")).toMatchObject(refused("newOrders", "one", 1));
    clock.now += 1;
    expect(ask("more.example")).toMatchObject(allowed);
    expect(ask("more.example")).toMatchObject(refused("newOrders", "one", 36 * SECOND));
  });

  it("cost nothing if another limit refuses them, or if they are given back", () => {
    const { rules, clock, ask, fail } = open({ limits: { newOrders: { count: 1, periodMs: HOUR } } });
    fail("bad.example", 5);
    expect(ask(["bad.example", "good.example"])).toMatchObject({ allowed: false });
    expect(ask("good.example")).toMatchObject(allowed);
    expect(ask("good.example")).toMatchObject({ allowed: false });
    rules.refundNewOrder("one", clock.now);
    expect(ask("good.example")).toMatchObject(allowed);
  });

  it("of several refusals the longest is told", () => {
    const limits = {
      newOrders: { count: 1, periodMs: HOUR },
      failedAuthorizations: { count: 1, periodMs: 2 * HOUR },
    };
    const { ask, fail } = open({ limits });
    ask("a.example");
    fail("b.example");
    expect(ask(["b.example", "a.example"])).toMatchObject(
      refused("failedAuthorizations", "b.example", 2 * HOUR),
    );
  });
});

describe("certificates", () => {
  it("are 50 a week for a registered domain, of all accounts, counted when they are issued", () => {
    const { clock, ask, issue } = open();
    // Orders alone cost nothing here.
    for (let i = 0; i < 60; i++) expect(ask(`h${i}.example.com`)).toMatchObject(allowed);
    for (let i = 0; i < 50; i++) issue(`h${i}.example.com`);
    const wait = 12_096 * SECOND;
    expect(ask("more.example.com")).toMatchObject(refused("certificatesPerDomain", "example.com", wait));
    expect(ask("*.example.com", { account: "two" })).toMatchObject({ allowed: false });
    expect(ask("more.example.net")).toMatchObject(allowed);
    expect(ask(["more.example.net", "MORE.example.com"])).toMatchObject({ allowed: false });
    clock.now += wait;
    expect(ask("more.example.com")).toMatchObject(allowed);
  });

  it("beyond the limit are not counted: the next is free as soon as without them", () => {
    const { ask, issue } = open();
    for (let i = 0; i < 60; i++) issue(`h${i}.example.com`);
    expect(ask("more.example.com")).toMatchObject({ refusal: { retryIn: 12_096 * SECOND } });
  });

  it("private suffixes are suffixes, and a suffix counts as itself", () => {
    const { ask, issue } = open({ limits: { certificatesPerDomain: { count: 1, periodMs: DAY } } });
    issue("a.b.github.io", "x.co.uk");
    expect(ask("c.b.github.io")).toMatchObject(refused("certificatesPerDomain", "b.github.io", DAY));
    expect(ask("b.x.co.uk")).toMatchObject(refused("certificatesPerDomain", "x.co.uk", DAY));
    expect(ask("c.github.io")).toMatchObject(allowed);
    expect(ask("github.io")).toMatchObject(allowed);
  });

  it("are 5 a week for the very same names, in any order and case, renewals too", () => {
    const { clock, ask, issue } = open();
    for (let i = 0; i < 5; i++) issue(...(i % 2 ? ["A.example", "b.example"] : ["b.example", "a.example"]));
    const wait = 120_960 * SECOND;
    const names = ["B.example", "a.example", "a.example"];
    expect(ask(names)).toMatchObject(refused("certificatesPerNameSet", "a.example,b.example", wait));
    expect(ask("a.example")).toMatchObject(allowed);
    clock.now += wait;
    expect(ask(names)).toMatchObject({ allowed: true, spent: false });
  });
});

describe("renewals", () => {
  it("need no new-order token and no room in their domain, for 120 days after the last certificate", () => {
    const one = { count: 1, periodMs: 1_000 * DAY };
    const { clock, ask, issue } = open({ limits: { newOrders: one, certificatesPerDomain: one } });
    ask("a.example.com");
    issue("a.example.com");
    const renewal = {
      allowed: true,
      spent: false,
      checked: ["failedAuthorizations", "certificatesPerNameSet"],
    };
    expect(ask("a.example.com", { account: "two" })).toEqual(renewal);
    // One name more or less makes it another set.
    expect(ask(["a.example.com", "b.example.com"])).toMatchObject({ allowed: false });
    clock.now += 120 * DAY;
    expect(ask("a.example.com")).toEqual(renewal);
    clock.now += 1;
    expect(ask("a.example.com")).toMatchObject({ allowed: false });
  });

  it("do not count for their domain when they are issued", () => {
    const { ask, issue } = open({ limits: { certificatesPerDomain: { count: 2, periodMs: DAY } } });
    for (let i = 0; i < 4; i++) issue("a.example.com");
    expect(ask("b.example.com")).toMatchObject(allowed);
  });

  it("that name the certificate they replace pass every limit", () => {
    const { ask, fail } = open({ limits: { newOrders: { count: 1, periodMs: HOUR } } });
    fail("a.example", 5);
    for (let i = 0; i < 3; i++) {
      expect(ask("a.example", { replaces: true })).toEqual({ allowed: true, spent: false, checked: [] });
    }
    expect(ask("b.example")).toMatchObject(allowed);
  });
});

describe("failed validations", () => {
  it("are 5 an hour for account and name; the sixth order waits, and with it all its names", () => {
    const { clock, ask, fail } = open();
    fail("bad.example", 4);
    expect(ask("bad.example")).toMatchObject(allowed);
    fail("bad.example", 3);
    const wait = 720 * SECOND;
    expect(ask(["ok.example", "bad.example"])).toMatchObject(
      refused("failedAuthorizations", "bad.example", wait),
    );
    expect(ask("bad.example", { account: "two" })).toMatchObject(allowed);
    expect(ask("ok.example")).toMatchObject(allowed);
    clock.now += wait;
    expect(ask("bad.example")).toMatchObject(allowed);
  });

  const limits = { failedAuthorizations: null, consecutiveFailures: { count: 3, periodMs: 3 * DAY } };
  const paused = { allowed: false, refusal: { limit: "paused", key: "bad.example" } };

  it("one too many without a success pause the pair, whatever time goes by", () => {
    const { clock, ask, fail } = open({ limits });
    fail("bad.example", 3);
    expect(ask("bad.example")).toMatchObject(allowed);
    fail("bad.example");
    expect(ask("bad.example")).toEqual(paused);
    expect(ask("bad.example", { replaces: true })).toEqual(paused);
    expect(ask("bad.example", { account: "two" })).toMatchObject(allowed);
    clock.now += 100 * DAY;
    expect(ask(["a.example", "bad.example"])).toEqual(paused);
  });

  it("a success in between starts the count anew", () => {
    const { rules, ask, fail } = open({ limits });
    fail("bad.example", 3);
    rules.succeeded("one", "bad.example");
    fail("bad.example", 3);
    expect(ask("bad.example")).toMatchObject(allowed);
  });

  it("who is unpaused has two weeks before the next pause", () => {
    const { rules, clock, ask, fail } = open({ limits });
    fail("bad.example", 4);
    rules.unpause("bad.example", clock.now);
    fail("bad.example", 9);
    expect(ask("bad.example")).toMatchObject(allowed);
    clock.now += 14 * DAY;
    fail("bad.example", 4);
    expect(ask("bad.example")).toEqual(paused);
  });

  it("a name can be paused for all, and let go", () => {
    const { rules, clock, ask } = open();
    rules.pause("Bad.example");
    expect(ask("bad.example", { account: "two" })).toEqual(paused);
    rules.unpause("bad.example", clock.now);
    expect(ask("bad.example")).toMatchObject(allowed);
  });
});

describe("options", () => {
  it("the scale divides all periods, and the 120 days", () => {
    const { rules, clock, ask, issue } = open({ scale: 1_000 });
    for (let i = 0; i < 300; i++) ask(`h${i}.example`);
    expect(ask("more.example")).toMatchObject(refused("newOrders", "one", 36));
    expect(rules.limits().certificatesPerDomain).toEqual({ count: 50, periodMs: 604_800 });
    issue("more.example");
    clock.now += (120 * DAY) / 1_000 + 1;
    expect(rules.isRenewal(["more.example"], clock.now)).toBe(false);
  });

  it("a limit can be other than Boulder's, or none", () => {
    const { rules, ask } = open({ limits: { ...off, newOrders: { count: 2, periodMs: HOUR } }, scale: 60 });
    expect(rules.limits()).not.toHaveProperty("certificatesPerDomain");
    for (let i = 0; i < 2; i++) {
      expect(ask("a.example")).toEqual({
        allowed: true,
        spent: true,
        checked: ["newOrders", "failedAuthorizations"],
      });
    }
    expect(ask("a.example")).toMatchObject(refused("newOrders", "one", 30 * SECOND));
  });
});

describe("answers", () => {
  const body = (answer: Answer) => JSON.parse(answer.body.toString()) as Record<string, unknown>;

  it("say what Boulder says", () => {
    const of = { count: 50, periodMs: 7 * DAY };
    const exceeded = { limit: "certificatesPerDomain", of, key: "example.com", retryIn: 3_723_001 } as const;
    const answer = limitedAnswer(exceeded, START, "abc");
    expect(body(answer)).toEqual({
      type: "urn:ietf:params:acme:error:rateLimited",
      detail:
        'too many certificates (50) already issued for "example.com" in the last 168h0m0s, retry after ' +
        "2026-11-25 01:02:03 UTC: see https://letsencrypt.org/docs/rate-limits/#new-certificates-per-registered-domain",
      status: 429,
    });
    expect(headerOf(answer, "retry-after")).toBe("3724");
    expect(headerOf(answer, "link")).toBe('<https://letsencrypt.org/docs/rate-limits>;rel="help"');
    expect(headerOf(answer, "replay-nonce")).toBe("abc");
  });

  it("to the paused name no time, but a page", () => {
    const answer = pausedAnswer("one", "a.example, b.example", "abc");
    expect(body(answer).detail).toMatch(
      /for a\.example, b\.example and possibly others\. Please visit: https:\S+$/,
    );
    expect(headerOf(answer, "retry-after")).toBeUndefined();
  });

  it("write durations as Go does", () => {
    const durations = [3 * HOUR, 7 * DAY, 90 * SECOND, 10_800, 36, 0].map(goDuration);
    expect(durations).toEqual(["3h0m0s", "168h0m0s", "1m30s", "10.8s", "36ms", "0s"]);
  });
});

describe("what an ideal client could have ordered", () => {
  it("is what was in the bucket, and what came back, without what others took", () => {
    const tallies = new Tallies();
    expect(tallies.stats(1_000).limits.newOrders).toMatchObject({ wouldHaveAllowed: 0 });
    tallies.useNewOrder("one", START, 2_500);
    expect(tallies.stats(1_000).limits.newOrders.wouldHaveAllowed).toBe(2);
    tallies.useNewOrder("one", START + 3_600, 0);
    tallies.useNewOrder("two", START + 100, 3_000);
    tallies.giveToOthers("one", 2);
    const { wouldHaveAllowed, firstAt, lastAt, byOthers } = tallies.stats(1_000).limits.newOrders;
    expect({ wouldHaveAllowed, firstAt, lastAt, byOthers }).toEqual({
      wouldHaveAllowed: 6 - 2 + 3,
      firstAt: START,
      lastAt: START + 3_600,
      byOthers: 2,
    });
    expect(tallies.stats(undefined).limits.newOrders.wouldHaveAllowed).toBe(Infinity);
  });
});
