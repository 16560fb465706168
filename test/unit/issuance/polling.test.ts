import { describe, expect, it } from "vitest";
import { pollAt } from "../../../src/issuance/polling.ts";

const NOW = 1_800_000_000_000;

describe("pollAt", () => {
  it.each([
    [1, 500],
    [2, 1_000],
    [3, 2_000],
    [4, 3_000],
    [5, 5_000],
    [6, 10_000],
    [7, 15_000],
    [8, 30_000],
    [9, 30_000],
    [70, 30_000],
  ])("looks for the time %d after %d ms", (polls, delay) => {
    expect(pollAt(polls, NOW)).toBe(NOW + delay);
  });

  it("gives up after the 70th look, half an hour in all", () => {
    expect(pollAt(71, NOW)).toBeUndefined();
    let at = NOW;
    for (let polls = 1; polls <= 70; polls++) at = pollAt(polls, at) ?? Number.NaN;
    expect(at - NOW).toBe(1_926_500);
  });

  it("takes a Retry-After for the least wait", () => {
    expect(pollAt(1, NOW, NOW + 4_000)).toBe(NOW + 4_000);
    expect(pollAt(5, NOW, NOW + 4_000)).toBe(NOW + 5_000);
    expect(pollAt(1, NOW, NOW - 4_000)).toBe(NOW + 500);
  });

  it("looks again after five minutes, whatever the CA asks", () => {
    expect(pollAt(1, NOW, NOW + 86_400_000)).toBe(NOW + 300_000);
  });
});
