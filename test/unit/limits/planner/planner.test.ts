import { describe, expect, it } from "vitest";
import { histogram } from "../../../../src/limits/planner/histogram.ts";
import type { PlanAccount, PlanInput, PlanOrder } from "../../../../src/limits/planner/plan.ts";
import { planOrders } from "../../../../src/limits/planner/planner.ts";
import { LIMITS, type Limit, type OrderLimit } from "../../../../src/limits/table.ts";
import { type NaiveInput, naivePlan } from "./naive-plan.ts";

const NOW = 1_800_000_000_000;
const SECOND = 1_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Let's Encrypt gives one new order back every 36 s, and keeps 300; one of these stays in hand. */
const NEW_ORDERS_BURST = 299;

function account(
  limits: Partial<Record<OrderLimit, Limit>> = LIMITS.letsencrypt?.certificates ?? {},
  more: Partial<PlanAccount> = {},
): PlanAccount {
  return { ca: "letsencrypt", pace: 0, limit: (kind) => limits[kind], bucket: () => undefined, ...more };
}

let serial = 0;
function order(domain: string, more: Partial<PlanOrder> = {}): PlanOrder {
  const name = `n${serial++}.${domain}`;
  return { name, domains: [domain], set: name, priority: 50, reported: true, ...more };
}

function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

function plan(orders: readonly PlanOrder[], more: Partial<PlanInput> = {}) {
  return planOrders({ now: NOW, accounts: [account()], orders, settle: 0, ...more });
}

/** Seconds from now at which each certificate is ordered, in the order of their time. */
function seconds(orders: readonly PlanOrder[], more: Partial<PlanInput> = {}): number[] {
  return plan(orders, more).certificates.map(({ at }) => (at - NOW) / SECOND);
}

describe("what one account may order", () => {
  it("1,000 certificates of 1,000 domains: 299 at once, then one every 36 s", () => {
    const { certificates, limits, ...rest } = plan(
      times(1_000, (i) => order(`d${i}.example`)),
      { settle: 20 * SECOND },
    );
    const last = NOW + (1_000 - NEW_ORDERS_BURST) * 36 * SECOND;
    expect(certificates[NEW_ORDERS_BURST - 1]?.at).toBe(NOW);
    expect(certificates[NEW_ORDERS_BURST]).toMatchObject({
      at: NOW + 36 * SECOND,
      limit: "newOrders",
      key: "letsencrypt",
    });
    expect(limits).toEqual([
      { limit: "newOrders", key: "letsencrypt", ca: "letsencrypt", waits: 701, until: last },
    ]);
    expect(rest).toMatchObject({
      orders: 1_000,
      firstAt: NOW,
      halfAt: NOW + (500 - NEW_ORDERS_BURST) * 36 * SECOND,
      lastAt: last,
      finishesAt: last + 20 * SECOND,
    });
  });

  it("names of one domain wait for each other, and nobody else waits for them", () => {
    const { certificates, limits } = plan([
      ...times(5_000, () => order("big.example")),
      order("small.example", { name: "www.small.example" }),
    ]);
    const big = certificates.filter(({ name }) => name.endsWith("big.example"));
    expect(big.filter(({ at }) => at === NOW)).toHaveLength(50);
    expect(big.slice(50).every(({ at }, index) => at === NOW + (index + 1) * 12_096 * SECOND)).toBe(true);
    expect(certificates.find(({ name }) => name === "www.small.example")).toEqual({
      name: "www.small.example",
      ca: "letsencrypt",
      at: NOW,
    });
    expect(limits).toEqual([
      {
        limit: "certificatesPerDomain",
        key: "big.example",
        ca: "letsencrypt",
        waits: 4_950,
        until: NOW + 4_950 * 12_096 * SECOND,
      },
    ]);
  });

  it("the urgent ones go before the normal ones, and those before the low ones", () => {
    const { certificates } = plan(
      [50, 90, 1, 50, 1].map((priority, i) =>
        order(`d${i}.example`, { name: `p${priority}-${i}`, priority }),
      ),
      { accounts: [account({ newOrders: { count: 2, period: 20 * SECOND } })] },
    );
    expect(certificates.map(({ name, at }) => [name, (at - NOW) / SECOND])).toEqual([
      ["p1-2", 0],
      ["p1-4", 10],
      ["p50-0", 20],
      ["p50-3", 30],
      ["p90-1", 40],
    ]);
  });

  it("an urgent one that comes later goes before those that wait for the same domain", () => {
    const limits = { certificatesPerDomain: { count: 1, period: 10 * SECOND } };
    const { certificates } = plan(
      [
        ...times(3, (i) => order("example.com", { name: `normal${i}` })),
        order("example.com", { name: "urgent", priority: 1, notBefore: NOW + 5 * SECOND }),
      ],
      { accounts: [account(limits)] },
    );
    expect(certificates.map(({ name, at }) => [name, (at - NOW) / SECOND])).toEqual([
      ["normal0", 0],
      ["urgent", 10],
      ["normal1", 20],
      ["normal2", 30],
    ]);
  });

  it("a certificate of two domains needs a token of both, and is held by the one that comes last", () => {
    const limit = (kind: OrderLimit, subject: string): Limit | undefined => {
      if (kind !== "certificatesPerDomain") return undefined;
      return { count: 1, period: (subject === "a.example" ? 10 : 30) * SECOND };
    };
    const { certificates } = plan(
      [
        order("a.example"),
        order("b.example"),
        order("a.example", { name: "both", domains: ["a.example", "b.example"] }),
        order("a.example", { name: "a alone" }),
      ],
      { accounts: [account({}, { limit })] },
    );
    expect(certificates.slice(2)).toEqual([
      {
        name: "a alone",
        ca: "letsencrypt",
        at: NOW + 10 * SECOND,
        limit: "certificatesPerDomain",
        key: "a.example",
      },
      {
        name: "both",
        ca: "letsencrypt",
        at: NOW + 30 * SECOND,
        limit: "certificatesPerDomain",
        key: "b.example",
      },
    ]);
  });

  it("the same set of names again and again holds nobody else of that domain", () => {
    const again = times(7, () => order("example.com", { name: "www.example.com", set: "same" }));
    const { certificates, limits } = plan([...again, order("example.com", { name: "other.example.com" })]);
    expect(certificates.map(({ at }) => (at - NOW) / SECOND)).toEqual([0, 0, 0, 0, 0, 0, 120_960, 241_920]);
    expect(certificates[5]?.name).toBe("other.example.com");
    expect(limits).toMatchObject([{ limit: "certificatesPerNameSet", key: "www.example.com", waits: 2 }]);
  });

  it("what was spent and what is promised is not there", () => {
    const limits = { certificatesPerDomain: { count: 5, period: 50 * SECOND } };
    const bucket = () => ({ tat: NOW + 15 * SECOND, holds: 2 });
    // 1.5 tokens are spent and 2 are promised: 1.5 are left.
    expect(
      seconds(
        times(3, () => order("example.com")),
        { accounts: [account(limits, { bucket })] },
      ),
    ).toEqual([0, 5, 15]);
  });

  it("a token is held until the certificate is there, and only then begins to come back", () => {
    const limits = { certificatesPerDomain: { count: 2, period: 20 * SECOND } };
    expect(
      seconds(
        times(4, () => order("example.com")),
        { accounts: [account(limits)], settle: 3 * SECOND },
      ),
    ).toEqual([0, 0, 13, 23]);
  });

  it("where no limit is, the pace decides", () => {
    expect(
      seconds(
        times(3, () => order("a.example")),
        { accounts: [account({}, { pace: 250 })] },
      ),
    ).toEqual([0, 0.25, 0.5]);
  });

  it("nothing goes while the account is out of service, and no limit is blamed for it", () => {
    const { certificates, limits } = plan([order("a.example")], {
      accounts: [account(undefined, { blockedUntil: NOW + HOUR })],
    });
    expect(certificates).toEqual([expect.objectContaining({ at: NOW + HOUR })]);
    expect(limits).toEqual([]);
  });

  it("exempt renewals pay for neither new orders nor domains, and do not stand behind those who do", () => {
    const { certificates } = plan([
      ...times(600, () => order("example.com")),
      ...times(3, () => order("example.com", { name: "renewal", exempt: true, priority: 90 })),
      order("example.com", { name: "later", exempt: true, notBefore: NOW + 10 * SECOND }),
    ]);
    expect(certificates.filter(({ name }) => name === "renewal").map(({ at }) => at)).toEqual([
      NOW,
      NOW,
      NOW,
    ]);
    expect(certificates.find(({ name }) => name === "later")?.at).toBe(NOW + 10 * SECOND);
    expect(certificates.filter(({ at }) => at === NOW)).toHaveLength(53);
  });

  it("what was queued before goes first and is not reported", () => {
    const { orders, certificates, firstAt } = plan([
      ...times(60, () => order("example.com", { reported: false })),
      order("example.com", { name: "new" }),
    ]);
    expect(orders).toBe(1);
    expect(certificates).toMatchObject([{ name: "new", at: NOW + 11 * 12_096 * SECOND }]);
    expect(firstAt).toBe(NOW + 11 * 12_096 * SECOND);
  });

  it("a wait of seconds for the account after one of hours for a domain is the domain's", () => {
    const { certificates } = plan([
      ...times(51, (i) => order("example.com", { name: `e${i}`, priority: 1 })),
      ...times(2_000, (i) => order(`d${i}.example`)),
    ]);
    expect(certificates.find(({ name }) => name === "e50")).toMatchObject({
      at: NOW + 12_096 * SECOND,
      limit: "certificatesPerDomain",
    });
  });

  it("nothing to order is a plan, too", () => {
    expect(plan([])).toEqual({ orders: 0, limits: [], certificates: [], advice: [] });
  });
});

describe("spilling over to the next CA", () => {
  const slow = { newOrders: { count: 2, period: 20 * SECOND } };
  const both = [account(slow, { ca: "first" }), account(slow, { ca: "second" })];

  it("happens only when it is asked for", () => {
    const { certificates } = plan(
      times(9, (i) => order(`d${i}.example`)),
      { accounts: both },
    );
    expect(new Set(certificates.map(({ ca }) => ca))).toEqual(new Set(["first"]));
  });

  it("takes those that would wait too long", () => {
    const { certificates } = plan(
      times(5, (i) => order(`d${i}.example`, { name: `n${i}` })),
      {
        accounts: both,
        spillAfter: 20 * SECOND,
      },
    );
    expect(certificates.map(({ name, ca, at }) => [name, ca, (at - NOW) / SECOND])).toEqual([
      ["n0", "first", 0],
      ["n3", "second", 0],
      ["n1", "first", 10],
      ["n4", "second", 10],
      ["n2", "first", 20],
    ]);
  });

  it("leaves those that name their CA where they are", () => {
    const { certificates } = plan(
      times(4, (i) => order(`d${i}.example`, { ca: "first" })),
      {
        accounts: both,
        spillAfter: SECOND,
      },
    );
    expect(certificates.map(({ ca, at }) => [ca, (at - NOW) / SECOND])).toEqual([
      ["first", 0],
      ["first", 10],
      ["first", 20],
      ["first", 30],
    ]);
  });

  it("deals out evenly what is too late everywhere", () => {
    const { certificates, lastAt } = plan(
      times(100, (i) => order(`d${i}.example`)),
      {
        accounts: both,
        spillAfter: 50 * SECOND,
      },
    );
    expect(certificates.filter(({ ca }) => ca === "first")).toHaveLength(50);
    expect(lastAt).toBe(NOW + 49 * 10 * SECOND);
  });

  it("says so when there is no account for a CA", () => {
    expect(() => plan([order("a.example", { name: "a", ca: "nobody" })])).toThrow(
      "There is no account for a (CA nobody).",
    );
  });
});

describe("compared with a simulation that goes millisecond by millisecond", () => {
  it.each(times(150, (seed) => seed + 1))("gives the same times and order (seed %i)", (seed) => {
    const input = randomInput(seed);
    const { certificates } = planOrders({ ...input, accounts: [input.account] });
    expect(certificates.map(({ name, at }) => `${name} ${at}`)).toEqual(naivePlan(input));
  });
});

/** https://en.wikipedia.org/wiki/Linear_congruential_generator, as in Numerical Recipes: the same on every run. */
function randomInput(seed: number): NaiveInput {
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const now = 1_000;
  const some = (): Limit | undefined => {
    const count = 1 + random(4);
    return random(4) === 0 ? undefined : { count, period: count * (1 + random(12)) };
  };
  const limits = new Map<string, Limit | undefined>();
  const buckets = new Map<string, { tat: number; holds: number } | undefined>();
  const keep = <T>(map: Map<string, T>, key: string, make: () => T): T => {
    if (!map.has(key)) map.set(key, make());
    return map.get(key) as T;
  };
  const account: PlanAccount = {
    ca: "ca",
    pace: random(3) === 0 ? 0 : random(6),
    limit: (kind, subject) => keep(limits, `${kind} ${subject}`, some),
    bucket: (kind, subject) =>
      keep(buckets, `${kind} ${subject}`, () =>
        random(2) === 0 ? undefined : { tat: random(3) * (now + random(20)), holds: random(3) },
      ),
    ...(random(4) === 0 ? { blockedUntil: now + random(30) } : {}),
  };
  const domains = ["a", "b", "c", "d"];
  const orders = times(1 + random(40), (i): PlanOrder => {
    const own = domains.filter(() => random(3) === 0);
    return {
      name: `n${i}`,
      domains: own.length > 0 ? own : [domains[random(4)] ?? "a"],
      set: `s${random(12)}`,
      priority: [1, 50, 90][random(3)] ?? 50,
      reported: true,
      ...(random(4) === 0 ? { notBefore: now + random(80) } : {}),
      ...(random(8) === 0 ? { exempt: true } : {}),
    };
  });
  return { now, account, orders, settle: random(2) === 0 ? 0 : random(25) };
}

describe("the histogram", () => {
  const start = Date.UTC(2026, 10, 25, 9, 30);

  it("goes by hours as long as all is within two days", () => {
    expect(histogram([start, start + 1, start + 2 * HOUR])).toEqual({
      step: HOUR,
      bars: [
        { from: Date.UTC(2026, 10, 25, 9), count: 2 },
        { from: Date.UTC(2026, 10, 25, 10), count: 0 },
        { from: Date.UTC(2026, 10, 25, 11), count: 1 },
      ],
    });
  });

  it("puts hours together so that twenty bars are enough", () => {
    const { step, bars } = histogram([start, start + 47 * HOUR]);
    expect(step).toBe(3 * HOUR);
    expect(bars[0]?.from).toBe(Date.UTC(2026, 10, 25, 9));
    expect(bars.length).toBeLessThanOrEqual(20);
  });

  it("goes by days beyond that, and by weeks, and by years", () => {
    expect(histogram([start, start + 3 * DAY])).toMatchObject({ step: DAY, bars: { length: 4 } });
    expect(histogram([start, start + 100 * DAY])).toMatchObject({ step: 7 * DAY, bars: { length: 15 } });
    const long = histogram([start, start + 40_000 * DAY]);
    expect(long.bars.length).toBeLessThanOrEqual(20);
    expect(long.bars.reduce((sum, { count }) => sum + count, 0)).toBe(2);
  });

  it("of nothing is empty", () => {
    expect(histogram([]).bars).toEqual([]);
  });
});
