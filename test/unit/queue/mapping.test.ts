import { describe, expect, it } from "vitest";
import { AppError, type Disposition } from "../../../src/core/errors.ts";
import { type FailureContext, queueAction } from "../../../src/queue/mapping.ts";

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
/** As by default: Let's Encrypt's advice. */
const RETRY = [MINUTE, 10 * MINUTE, 100 * MINUTE, DAY];

function actionOf(
  error: { disposition: Disposition; code?: string; retryAt?: number },
  context: Partial<FailureContext> = {},
) {
  const thrown = new AppError("It failed.", { code: "some_code", ...error });
  return queueAction(thrown, { now: NOW, attempts: 0, transient: 0, retry: RETRY, random: 0, ...context });
}

describe("what becomes of a failed step, by the error's disposition", () => {
  const table: readonly [Disposition, object][] = [
    ["transient", { kind: "again", at: NOW + 1_000, waiting: false }],
    ["unavailable", { kind: "again", at: NOW + 1_000, waiting: false }],
    ["limit", { kind: "reorder", at: NOW + 5 * MINUTE, reason: "limit", countsAsAttempt: false }],
    ["retry", { kind: "reorder", at: NOW + MINUTE, reason: "retry", countsAsAttempt: true }],
    ["internal", { kind: "reorder", at: NOW + MINUTE, reason: "retry", countsAsAttempt: true }],
    ["node", { kind: "stop", reason: "node" }],
    ["attention", { kind: "stop", reason: "person" }],
    ["usage", { kind: "stop", reason: "person" }],
    ["account", { kind: "stopAccount" }],
  ];

  it.each(table)("%s", (disposition, action) => {
    expect(actionOf({ disposition })).toEqual(action);
  });
});

describe("a failed attempt", () => {
  it.each([
    [0, MINUTE],
    [1, 10 * MINUTE],
    [2, 100 * MINUTE],
    [3, DAY],
    [4, DAY],
    [1_000, DAY],
  ])("after %d failures in a row comes back after %d ms", (attempts, delay) => {
    expect(actionOf({ disposition: "retry" }, { attempts })).toMatchObject({ at: NOW + delay });
  });

  it.each([
    [0, 100 * MINUTE],
    [1, DAY],
    [9, DAY],
  ])("of CAA begins at the third delay: after %d failures %d ms", (attempts, delay) => {
    const error = { disposition: "retry", code: "caa" } as const;
    expect(actionOf(error, { attempts })).toMatchObject({ at: NOW + delay, countsAsAttempt: true });
  });

  it("keeps to a short table: its last delay repeats", () => {
    const context = { retry: [7_000], attempts: 5 };
    expect(actionOf({ disposition: "retry" }, context)).toMatchObject({ at: NOW + 7_000 });
    expect(actionOf({ disposition: "retry", code: "caa" }, context)).toMatchObject({ at: NOW + 7_000 });
  });

  it("is never early: the spread is 0 to 10 % on top", () => {
    const at = [0, 0.5, 0.999_999].map((random) => actionOf({ disposition: "retry" }, { random }));
    expect(at).toMatchObject([{ at: NOW + 60_000 }, { at: NOW + 63_000 }, { at: NOW + 66_000 }]);
  });

  it("waits for as long as the CA asks, where that is longer", () => {
    const late = NOW + 5 * MINUTE;
    expect(actionOf({ disposition: "retry", retryAt: late })).toMatchObject({ at: late });
    expect(actionOf({ disposition: "retry", retryAt: NOW + 1 })).toMatchObject({ at: NOW + MINUTE });
  });
});

describe("a limit", () => {
  it("ends at the moment that the CA names, with no spread, and costs no attempt", () => {
    const action = actionOf({ disposition: "limit", retryAt: NOW + 17 }, { random: 0.9, attempts: 3 });
    expect(action).toEqual({ kind: "reorder", at: NOW + 17, reason: "limit", countsAsAttempt: false });
  });
});

describe("what is nobody's fault", () => {
  it.each([
    [0, 1_000, false],
    [1, 2_000, false],
    [2, 4_000, true],
    [3, 8_000, true],
    [8, 256_000, true],
    [9, 300_000, true],
    [100, 300_000, true],
    [5_000, 300_000, true],
  ])("after %d such tries comes back after %d ms (worth showing: %s)", (transient, delay, waiting) => {
    const action = { kind: "again", at: NOW + delay, waiting };
    expect(actionOf({ disposition: "transient" }, { transient })).toEqual(action);
  });

  it("is spread by 0 to 10 %, and waits for what the CA asks", () => {
    const error = { disposition: "transient" } as const;
    expect(actionOf(error, { random: 0.999_999 })).toMatchObject({ at: NOW + 1_100 });
    expect(actionOf({ ...error, retryAt: NOW + 9_000 })).toMatchObject({ at: NOW + 9_000 });
  });
});
