import { describe, expect, it } from "vitest";
import { AppError } from "../../../src/core/errors.ts";
import { exhaustedPatience, PATIENCE } from "../../../src/limits/patience.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 25);
const POLICY = { giveUpAfter: 7 * DAY, failures: 300 };
const LAST = new AppError("Timeout during connect.", {
  code: "connection",
  disposition: "retry",
  type: "urn:ietf:params:acme:error:connection",
});
const row = (count: number, days: number) => ({ name: "a.example", count, since: NOW - days * DAY });
const end = (...of: Parameters<typeof row>) => exhaustedPatience(row(...of), LAST, POLICY, NOW);

describe("a name that fails again and again", () => {
  it.each([
    [2, 6.99],
    [299, 0],
    [299, 6.9],
    // One failure a week ago and one now are no row of failures.
    [1, 400],
  ])("is tried on after %d failures in %d days", (count, days) => {
    expect(end(count, days)).toBeUndefined();
  });

  it.each([
    [2, 7],
    [12, 30],
    [300, 0],
    [301, 3],
  ])("is given up after %d failures in %d days", (count, days) => {
    expect(end(count, days)).toMatchObject({ code: "given_up", disposition: "attention" });
  });

  it("is given up with the evidence: the name, how often, since when, and the last failure", () => {
    const error = end(12, 8);
    expect(error?.message).toBe(
      "a.example has failed 12 times in a row since 2026-11-17T00:00:00Z (8 d), and is not tried any more. The last time: Timeout during connect.",
    );
    expect(error).toMatchObject({ identifier: "a.example", type: LAST.type, cause: LAST });
  });

  it("has patience where nothing has failed", () => {
    expect(exhaustedPatience(undefined, LAST, POLICY, NOW)).toBeUndefined();
  });

  it("is given up long before Let's Encrypt would pause it, which is after 1,152 failures in a row", () => {
    expect(PATIENCE.failures).toBeLessThan(1_152 / 3);
  });
});
