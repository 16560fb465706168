import { expect, it } from "vitest";
import { isToBeSaid, settledOf, standingOf, standingWords } from "../../../src/dashboard/wizard/progress.ts";

it("what is served or issued is done; what was removed counts no more, and what is paused is not in hand", () => {
  const standing = standingOf({
    statuses: { serving: 4, issued: 1, waiting: 2, attention: 1, ordering: 3, paused: 1, removed: 9 },
  });
  expect(standing).toEqual({ total: 12, done: 5, waiting: 2, attention: 1, inHand: 3 });
  expect(standingWords(standing)).toBe("5 of 12 certificates done, 2 wait, 1 needs attention.");
  expect(standingWords(standingOf({ statuses: { serving: 3 } }))).toBe("All 3 certificates are done.");
  expect(standingWords(standingOf({ statuses: {} }))).toBe("0 of 0 certificates done.");
});

it("an import counts those that have come to rest, also while more are open than it has accepted so far", () => {
  expect(settledOf({ accepted: 10, open: 3 })).toEqual({ settled: 7, all: 10 });
  expect(settledOf({ accepted: 2, open: 3 })).toEqual({ settled: 0, all: 3 });
});

it("the first and the last sentence are read out at once, those between them every quarter of a minute", () => {
  const said = { words: "1 of 3", at: 1_000 };
  expect(isToBeSaid(undefined, "0 of 3", { now: 0, isLast: false })).toBe(true);
  expect(isToBeSaid(said, "2 of 3", { now: 15_999, isLast: false })).toBe(false);
  expect(isToBeSaid(said, "2 of 3", { now: 16_000, isLast: false })).toBe(true);
  expect(isToBeSaid(said, "3 of 3", { now: 1_001, isLast: true })).toBe(true);
  expect(isToBeSaid(said, "1 of 3", { now: 99_000, isLast: true })).toBe(false);
});
