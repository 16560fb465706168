import { describe, expect, it } from "vitest";
import { atOnce } from "../../../../src/core/gently.ts";
import { neededCount } from "../../../../src/limits/planner/advice-changes.ts";
import type { Advice, PlanAccount, PlanInput, PlanOrder } from "../../../../src/limits/planner/plan.ts";
import { planOrders } from "../../../../src/limits/planner/planner.ts";
import { LIMITS } from "../../../../src/limits/table.ts";

const NOW = Date.UTC(2026, 10, 25, 9, 0);
const SECOND = 1_000;
const HOUR = 3_600_000;
const WEEK = 168 * HOUR;
/** Let's Encrypt gives one certificate of a domain back every 12,096 s. */
const DOMAIN_STEP = 12_096 * SECOND;
const FORM = "https://isrg.formstack.com/forms/rate_limit_adjustment_request";

const letsencrypt: PlanAccount = {
  ca: "letsencrypt",
  pace: 0,
  limit: (kind) => LIMITS.letsencrypt?.certificates[kind],
  bucket: () => undefined,
};

function orders(count: number, domain: string, more: Partial<PlanOrder> = {}, prefix = "n"): PlanOrder[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `${prefix}${i}.${domain}`;
    return { name, domains: [domain], set: name, priority: 50, reported: true, ...more };
  });
}

function advice(list: readonly PlanOrder[], more: Partial<PlanInput> = {}): Advice[] {
  return planOrders({ now: NOW, accounts: [letsencrypt], orders: list, settle: 0, ...more }).advice;
}

function find(list: readonly Advice[], kind: Advice["kind"], limit = "certificatesPerDomain") {
  return list.find((one) => one.kind === kind && one.limit === limit);
}

describe("where a domain holds its names", () => {
  it("says what joining them, a wildcard, and a higher limit would bring", () => {
    const list = advice(orders(240, "example.com"));
    expect(find(list, "join")).toEqual({
      kind: "join",
      limit: "certificatesPerDomain",
      key: "example.com",
      names: 240,
      orders: 3,
      finishesAt: NOW,
      text: "Put the names of example.com together as SANs, 240 names in 3 certificates: all is done by 2026-11-25 09:00 UTC instead of 2026-12-21 23:24.",
    });
    expect(find(list, "wildcard")).toMatchObject({ names: 240, orders: 1, finishesAt: NOW });
    expect(find(list, "wildcard")?.text).toContain(
      "*.example.com for the 240 names below it (it needs dns-01)",
    );
    expect(find(list, "override")).toMatchObject({ key: "example.com", names: 240, orders: 240 });
    expect(find(list, "override")?.text).toContain(
      `Ask letsencrypt to allow 240 certificates of example.com in 7 d (${FORM}; the answer takes a few weeks)`,
    );
  });

  it("fills certificates of 25 names where the profile allows no more", () => {
    expect(find(advice(orders(240, "example.com"), { maxNames: 25 }), "join")).toMatchObject({ orders: 10 });
  });

  it("joins no more than are needed to see: those that still wait, wait in the plan, too", () => {
    const join = find(advice(orders(6_000, "example.com")), "join");
    expect(join).toMatchObject({ names: 6_000, orders: 60, finishesAt: NOW + 10 * DOMAIN_STEP });
  });

  it("counts the SANs that a certificate has already", () => {
    const pairs = orders(60, "example.com").map((order) => ({
      ...order,
      names: [order.name, `www.${order.name}`],
    }));
    const list = advice(pairs);
    expect(find(list, "join")).toMatchObject({ names: 120, orders: 2 });
    // www.n0.example.com is two labels below the domain.
    expect(find(list, "wildcard")).toBeUndefined();
  });

  it("knows a wildcard below a common parent, and that others stay as they are", () => {
    const list = advice([...orders(1, "example.com"), ...orders(80, "example.com").map(deeper)]);
    const wildcard = find(list, "wildcard");
    expect(wildcard).toMatchObject({ names: 80, orders: 1, finishesAt: NOW });
    expect(wildcard?.text).toContain("*.eu.example.com");
  });

  it("proposes no wildcard for names that none covers", () => {
    const mixed = [...orders(60, "example.com"), ...orders(60, "example.com").map(deeper)];
    expect(find(advice(mixed), "wildcard")).toBeUndefined();
  });

  it("leaves alone what cannot be put together: renewals, other CAs, what was queued before", () => {
    const list = advice([
      ...orders(55, "example.com", { reported: false }, "queued"),
      ...orders(1, "example.com", {}, "new"),
      ...orders(9, "example.com", { exempt: true }, "renewal"),
    ]);
    expect(find(list, "join")).toBeUndefined();
    expect(find(list, "wildcard")).toBeUndefined();
    expect(find(list, "override")).toMatchObject({ names: 1, orders: 1, finishesAt: NOW });
  });

  it("offers to join all domains where several hold their names, and says what each alone would bring", () => {
    const list = advice([...orders(60, "a.example"), ...orders(60, "b.example")]);
    expect(list).toHaveLength(5);
    expect(list[0]).toMatchObject({ kind: "join", key: "", names: 120, orders: 2, finishesAt: NOW });
    expect(list[0]?.text).toContain("each of the 2 registered domains that wait");
    expect(list[1]?.finishesAt).toBe(NOW + 10 * DOMAIN_STEP);
    expect(list[1]?.text).toContain("that part is done by 2026-11-25 09:00 UTC instead of 2026-11-26 18:36.");
  });
});

describe("where the account holds its orders", () => {
  it("advises to join the names of each domain, and says which limit would be needed", () => {
    const shops = Array.from({ length: 500 }, (_, i) => orders(2, `shop${i}.example`)).flat();
    const list = advice(shops);
    expect(find(list, "join", "newOrders")).toMatchObject({
      key: "letsencrypt",
      names: 1_000,
      orders: 500,
      finishesAt: NOW + 201 * 36 * SECOND,
    });
    expect(find(list, "override", "newOrders")).toMatchObject({ orders: 1_000, finishesAt: NOW });
    // One more than 1,000, as one always stays in hand, and then two leading digits.
    expect(find(list, "override", "newOrders")?.text).toContain("1,100 new orders in 3 h");
  });

  it("does not send people to Let's Encrypt for another CA", () => {
    const list = advice(Array.from({ length: 400 }, (_, i) => orders(1, `d${i}.example`)).flat(), {
      accounts: [{ ...letsencrypt, ca: "internal" }],
    });
    expect(list.map(({ text }) => text)).toEqual([
      "Ask internal to allow 410 new orders in 3 h: all is done by 2026-11-25 09:00 UTC instead of 2026-11-25 10:00.",
    ]);
  });
});

it("nothing is advised where nothing waits", () => {
  expect(advice(orders(50, "example.com"))).toEqual([]);
});

describe("the limit that is needed", () => {
  const limit = { count: 50, period: WEEK };

  it("is no higher than it has to be", () => {
    const hourly = Array.from({ length: 500 }, (_, i) => NOW + i * HOUR);
    const state = undefined;
    // 500 within 499 hours: what the bucket holds, and what comes back in just under three weeks.
    expect(atOnce(neededCount(hourly, limit, { state, now: NOW, inHand: 0 }))).toBe(130);
    expect(
      atOnce(
        neededCount(
          hourly.map(() => NOW),
          limit,
          { state, now: NOW, inHand: 0 },
        ),
      ),
    ).toBe(500);
  });

  it("takes account of what is spent", () => {
    const state = { tat: NOW + 20 * DOMAIN_STEP, holds: 10 };
    expect(atOnce(neededCount(Array(100).fill(NOW), limit, { state, now: NOW, inHand: 0 }))).toBe(130);
  });
});

function deeper(order: PlanOrder): PlanOrder {
  const name = order.name.replace(".", ".eu.");
  return { ...order, name, set: name };
}
