import { describe, expect, it } from "vitest";
import { emission, exhaustedUntil, refund, spend } from "../../../src/limits/gcra.ts";

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
/** Let's Encrypt's new orders: 300 in 3 h, one back every 36 s. */
const ORDERS = { count: 300, period: 3 * HOUR };

function drained(limit: { count: number; period: number }, at = NOW): number {
  let tat = 0;
  for (let i = 0; i < limit.count; i++) tat = spend(limit, tat, at).tat;
  return tat;
}

describe("emission", () => {
  it.each([
    [ORDERS, 36_000],
    [{ count: 50, period: 168 * HOUR }, 12_096_000],
    [{ count: 5, period: HOUR }, 720_000],
    [{ count: 7, period: 100 }, 14],
    // More than one a millisecond cannot be told apart; never zero, which would be no limit at all.
    [{ count: 30_000, period: 1_000 }, 1],
  ])("of %j is %d ms", (limit, ms) => {
    expect(emission(limit)).toBe(ms);
  });
});

describe("spend", () => {
  it("lets exactly the burst through, counting down", () => {
    let tat = 0;
    const left: number[] = [];
    for (let i = 0; i < 5; i++) {
      const decision = spend({ count: 5, period: HOUR }, tat, NOW);
      expect(decision).toMatchObject({ allowed: true, wait: 0 });
      left.push(decision.remaining);
      tat = decision.tat;
    }
    expect(left).toEqual([4, 3, 2, 1, 0]);
    expect(spend({ count: 5, period: HOUR }, tat, NOW)).toEqual({
      allowed: false,
      tat,
      wait: 720_000,
      remaining: 0,
    });
  });

  it("says the wait exactly: a millisecond less is too early", () => {
    const tat = drained(ORDERS);
    const { wait } = spend(ORDERS, tat, NOW + 1_000);
    expect(wait).toBe(35_000);
    expect(spend(ORDERS, tat, NOW + 1_000 + wait - 1).allowed).toBe(false);
    expect(spend(ORDERS, tat, NOW + 1_000 + wait)).toMatchObject({ allowed: true, remaining: 0 });
  });

  it("is full again after a whole period, and never fuller", () => {
    const tat = drained(ORDERS);
    expect(spend(ORDERS, tat, NOW + ORDERS.period).remaining).toBe(299);
    expect(spend(ORDERS, tat, NOW + 10 * ORDERS.period).remaining).toBe(299);
  });

  it("gives n orders beyond the burst one every emission: 1,000 take 7 h", () => {
    let tat = 0;
    let now = NOW;
    for (let i = 0; i < 1_000; i++) {
      now += spend(ORDERS, tat, now).wait;
      tat = spend(ORDERS, tat, now).tat;
    }
    expect(now - NOW).toBe(700 * 36_000);
  });
});

describe("refund", () => {
  it("gives one token back", () => {
    const tat = drained(ORDERS);
    const back = refund(ORDERS, tat, NOW);
    expect(spend(ORDERS, back, NOW)).toEqual({ allowed: true, tat, wait: 0, remaining: 0 });
  });

  it("never makes a bucket fuller than full", () => {
    const { tat } = spend(ORDERS, 0, NOW);
    const later = NOW + 30_000;
    const once = refund(ORDERS, tat, later);
    const twice = refund(ORDERS, once, later);
    expect(spend(ORDERS, twice, later).remaining).toBe(299);
    expect(refund(ORDERS, 0, NOW)).toBe(0);
  });
});

describe("exhaustedUntil", () => {
  it("has the next token at that moment, and not before", () => {
    const tat = exhaustedUntil(ORDERS, NOW + 90_000);
    expect(spend(ORDERS, tat, NOW)).toMatchObject({ allowed: false, wait: 90_000 });
    expect(spend(ORDERS, tat, NOW + 89_999).allowed).toBe(false);
    expect(spend(ORDERS, tat, NOW + 90_000)).toMatchObject({ allowed: true, remaining: 0 });
  });
});
