import { describe, expect, it } from "vitest";
import { emission } from "../../../src/limits/gcra.ts";

const HOUR = 3_600_000;
const ORDERS = { count: 300, period: 3 * HOUR };

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
