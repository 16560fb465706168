import { describe, expect, it } from "vitest";
import { standingOf } from "../../../src/limits/standing.ts";

const NOW = Date.UTC(2026, 10, 25, 12, 0, 0);
const HOUR = 3_600_000;
/** One token an hour. */
const LIMIT = { count: 5, period: 5 * HOUR };

describe("how a bucket stands", () => {
  it.each([
    ["full", { tat: 0, holds: 0 }, { used: 0, remaining: 5 }],
    ["full since long ago", { tat: NOW - 9 * HOUR, holds: 0 }, { used: 0, remaining: 5 }],
    ["with one taken just now", { tat: NOW + HOUR, holds: 0 }, { used: 1, remaining: 4 }],
    ["with one held", { tat: 0, holds: 1 }, { used: 1, remaining: 4 }],
    ["empty", { tat: NOW + 5 * HOUR, holds: 0 }, { used: 5, remaining: 0 }],
    ["emptier than empty, as a CA may say", { tat: NOW + 7 * HOUR, holds: 0 }, { used: 5, remaining: 0 }],
    ["with more held than there are", { tat: NOW + 4 * HOUR, holds: 3 }, { used: 5, remaining: 0 }],
  ])("%s", (_, state, expected) => {
    expect(standingOf(LIMIT, state, NOW)).toMatchObject({ burst: 5, ...expected });
  });

  it("says when the next token comes back", () => {
    expect(standingOf(LIMIT, { tat: NOW + HOUR / 2, holds: 0 }, NOW).nextAt).toBe(NOW + HOUR / 2);
    expect(standingOf(LIMIT, { tat: NOW + 5 * HOUR, holds: 0 }, NOW).nextAt).toBe(NOW + HOUR);
    expect(standingOf(LIMIT, { tat: NOW + 7 * HOUR, holds: 0 }, NOW).nextAt).toBe(NOW + 3 * HOUR);
  });
});
