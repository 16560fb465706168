import { describe, expect, it } from "vitest";
import { humanDuration, parseDuration } from "../../../src/core/duration.ts";

describe("parseDuration", () => {
  it.each([
    ["500ms", 500],
    ["36s", 36_000],
    ["12m", 720_000],
    ["3h", 10_800_000],
    ["7d", 604_800_000],
    ["1.5h", 5_400_000],
    ["0s", 0],
    [" 36s ", 36_000],
  ])("takes %j as %d ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(["", "36", "s", "36 s", "-1s", "+1s", "1e3s", "1,5h", ".5h", "1.h", "3w", "3H", "1h30m", "NaNs"])(
    "refuses %j",
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});

describe("humanDuration", () => {
  it.each([
    [-5_000, "0 s"],
    [0, "0 s"],
    [499, "0 s"],
    [42_000, "42 s"],
    [119_499, "119 s"],
    [119_500, "2 min"],
    [7_100_000, "118 min"],
    [7_199_000, "2 h"],
    [11_100_000, "3 h 5 min"],
    [47 * 3_600_000, "47 h"],
    [48 * 3_600_000, "2 d"],
    [52 * 3_600_000, "2 d 4 h"],
    [7 * 86_400_000, "7 d"],
  ])("says %d ms as %j", (ms, text) => {
    expect(humanDuration(ms)).toBe(text);
  });
});
