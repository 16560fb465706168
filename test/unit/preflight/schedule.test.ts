import { describe, expect, it } from "vitest";
import { nextCheck } from "../../../src/preflight/schedule.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = 1_700_000_000_000;
const middle = () => 0.5;

const waitAt = (age: number, random = middle) => {
  const now = START + age;
  const next = nextCheck({ firstFailedAt: START, checks: 1, now, random });
  return next === undefined ? undefined : next - now;
};

describe("when a name that waits is checked again", () => {
  it.each([
    [0, 2 * MINUTE],
    [10 * MINUTE - 1, 2 * MINUTE],
    [10 * MINUTE, 5 * MINUTE],
    [HOUR, 30 * MINUTE],
    [DAY, 4 * HOUR],
    [6 * DAY, 4 * HOUR],
  ])("after %i ms: in %i ms", (age, wait) => {
    expect(waitAt(age)).toBe(wait);
  });

  it("a tenth earlier or later", () => {
    expect(waitAt(0, () => 0)).toBe(108_000);
    expect(waitAt(0, () => 0.999_999)).toBe(132_000);
  });

  it("for the last time when a week is over, and never after that", () => {
    expect(waitAt(7 * DAY - HOUR)).toBe(HOUR);
    expect(waitAt(7 * DAY)).toBeUndefined();
  });

  it("by a schedule of one's own, the last wait of which repeats", () => {
    const schedule = { every: [100, 200], giveUpAfter: 1_000 };
    const next = (checks: number, now = START) =>
      nextCheck({ firstFailedAt: START, checks, now, random: middle }, schedule);
    expect([0, 1, 2, 3, 9].map((checks) => next(checks))).toEqual(
      [100, 100, 200, 200, 200].map((ms) => START + ms),
    );
    expect(next(9, START + 900)).toBe(START + 1_000);
    expect(next(9, START + 1_000)).toBeUndefined();
  });

  it("fewer than 100 times in all", () => {
    let now = START;
    let checks = 1;
    for (;;) {
      const next = nextCheck({ firstFailedAt: START, checks, now, random: middle });
      if (next === undefined) break;
      now = next;
      checks++;
    }
    expect(checks).toBeLessThan(100);
    expect(now).toBe(START + 7 * DAY);
  });
});
