import { describe, expect, it } from "vitest";
import type { IssuedLeaf } from "../../../src/core/certificate.ts";
import {
  afterPoll,
  dueWarning,
  firstPlan,
  nextWarningAt,
  RENEWAL,
  type RenewalPolicy,
  renewAtOf,
} from "../../../src/renewal/policy.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2027, 0, 1);
const NAMES = Array.from({ length: 1_000 }, (_, n) => `n${n}.example`);

function leafOf(lifetime: number, age = 0): IssuedLeaf {
  const notBefore = NOW - age;
  const notAfter = notBefore + lifetime;
  return { notBefore, notAfter, issuer: "CA", serial: "01", renewAt: notAfter - lifetime / 3 };
}

function poll(
  leaf: IssuedLeaf,
  polled: Parameters<typeof afterPoll>[2],
  more: object = {},
  policy = RENEWAL,
) {
  const context = { name: "a.example", now: NOW, random: 0.5, ...more };
  return afterPoll(leaf, {}, polled, context, policy);
}

describe("without a word of the CA, a certificate is renewed", () => {
  it.each([
    [90 * DAY, 30 * DAY, DAY],
    [64 * DAY, (64 / 3) * DAY, DAY],
    [45 * DAY, 15 * DAY, DAY],
    [10 * DAY, (10 / 3) * DAY, (10 / 30) * DAY],
    [160 * HOUR, 80 * HOUR, (160 / 30) * HOUR],
    [120_000, 60_000, 4_000],
  ])("in a lifetime of %d ms with %d ms left, up to %d ms earlier by its name", (lifetime, left, spread) => {
    const leaf = leafOf(lifetime);
    const early = NAMES.map((name) => leaf.notAfter - left - renewAtOf(leaf, name, RENEWAL));
    expect(Math.min(...early)).toBeGreaterThanOrEqual(-1);
    expect(Math.max(...early)).toBeLessThanOrEqual(spread + 1);
    // Evenly: no tenth of the spread has more than a fifth of the names.
    const tenths = Array.from({ length: 10 }, (_, n) =>
      early.filter((ms) => Math.floor(ms / (spread / 10)) === n),
    );
    for (const tenth of tenths) expect(tenth.length).toBeLessThan(200);
    expect(renewAtOf(leaf, "a.example", RENEWAL)).toBe(renewAtOf(leaf, "a.example", RENEWAL));
  });

  it("as long before its end as is wished, though never more than half of its lifetime", () => {
    const policy = { ...RENEWAL, renewBefore: 7 * DAY };
    for (const name of NAMES) {
      const left = leafOf(90 * DAY).notAfter - renewAtOf(leafOf(90 * DAY), name, policy);
      expect(left).toBeGreaterThanOrEqual(7 * DAY);
      expect(left).toBeLessThanOrEqual(8 * DAY);
    }
    const short = leafOf(160 * HOUR);
    expect(renewAtOf(short, "a.example", policy)).toBeGreaterThan(short.notBefore + 70 * HOUR);
  });
});

describe("a new leaf", () => {
  it("is asked about within the first interval, at a moment of its own", () => {
    const first = NAMES.map(
      (name) => (firstPlan(leafOf(90 * DAY), name, NOW, RENEWAL).schedule.pollAt ?? 0) - NOW,
    );
    expect(Math.min(...first)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...first)).toBeLessThanOrEqual(6 * HOUR);
    const hours = Array.from(
      { length: 6 },
      (_, n) => first.filter((ms) => Math.floor(ms / HOUR) === n).length,
    );
    for (const count of hours) expect(count).toBeGreaterThan(100);
  });

  it("of a short life is asked about more often", () => {
    expect(firstPlan(leafOf(160 * HOUR), "a.example", NOW, RENEWAL).schedule.pollAt).toBeLessThanOrEqual(
      NOW + 8 * HOUR,
    );
    expect(firstPlan(leafOf(2 * HOUR), "a.example", NOW, RENEWAL).schedule.pollAt).toBeLessThanOrEqual(
      NOW + 6 * MINUTE,
    );
  });
});

describe("the window that the CA suggests", () => {
  const leaf = leafOf(90 * DAY);
  const window = { start: NOW + 59 * DAY, end: NOW + 61 * DAY };

  it("gets one instant, evenly drawn", () => {
    for (const random of [0, 0.25, 0.999])
      expect(poll(leaf, { kind: "info", window }, { random }).renewAt).toBe(
        Math.round(window.start + random * 0.95 * 2 * DAY),
      );
  });

  it("keeps its instant while it stands, and gets another when it does not", () => {
    const { renewAt, schedule } = poll(leaf, { kind: "info", window });
    const context = { name: "a.example", now: NOW + DAY, random: 0.1 };
    const stands = afterPoll({ ...leaf, renewAt }, schedule, { kind: "info", window }, context, RENEWAL);
    expect(stands).toMatchObject({ renewAt, isEarly: false });
    const moved = { start: window.start - 30 * DAY, end: window.end - 30 * DAY };
    const again = afterPoll(
      { ...leaf, renewAt },
      schedule,
      { kind: "info", window: moved },
      context,
      RENEWAL,
    );
    expect(again.renewAt).toBeGreaterThanOrEqual(moved.start);
    expect(again.renewAt).toBeLessThan(moved.end);
    // Sooner than it was, and no incident: nothing need be done today.
    expect(again.isEarly).toBe(false);
    const today = { start: NOW + DAY, end: NOW + 2 * DAY };
    const incident = afterPoll(
      { ...leaf, renewAt },
      schedule,
      { kind: "info", window: today },
      context,
      RENEWAL,
    );
    expect(incident.isEarly).toBe(true);
  });

  it("means at once where it lies in the past", () => {
    const past = { start: NOW - 2 * DAY, end: NOW - DAY };
    const day = leafOf(90 * DAY, DAY);
    expect(poll(day, { kind: "info", window: past })).toMatchObject({ renewAt: NOW, isEarly: true });
  });

  it("does not make a certificate be renewed again and again, as soon as it is there", () => {
    const past = { start: NOW - 2 * DAY, end: NOW - DAY };
    const fresh = { ...leaf, notBefore: NOW - HOUR, issuedAt: NOW };
    expect(poll(fresh, { kind: "info", window: past }).renewAt).toBe(NOW + HOUR);
    const short = { ...leafOf(120_000), issuedAt: NOW };
    expect(poll(short, { kind: "info", window: past }).renewAt).toBe(NOW + 12_000);
  });

  it("is no incident where the certificate is simply overdue", () => {
    const old = leafOf(90 * DAY, 80 * DAY);
    const past = { start: NOW - 21 * DAY, end: NOW - 19 * DAY };
    expect(poll(old, { kind: "info", window: past })).toMatchObject({ renewAt: NOW, isEarly: false });
  });

  it("is not waited for past nine tenths of the lifetime", () => {
    const late = { start: NOW + 95 * DAY, end: NOW + 99 * DAY };
    expect(poll(leaf, { kind: "info", window: late }).renewAt).toBe(NOW + 81 * DAY);
  });

  it("gives way to a rule of one's own, unless it cannot wait", () => {
    const policy: RenewalPolicy = { ...RENEWAL, renewBefore: 7 * DAY };
    expect(poll(leaf, { kind: "info", window }, {}, policy).renewAt).toBe(
      renewAtOf(leaf, "a.example", policy),
    );
    const past = { start: NOW - 2 * DAY, end: NOW - DAY };
    expect(poll(leafOf(90 * DAY, DAY), { kind: "info", window: past }, {}, policy).renewAt).toBe(NOW);
  });

  it("comes with a reason for a person, for as long as the CA gives one", () => {
    const explanationUrl = "https://ca.example/why";
    const { schedule } = poll(leaf, { kind: "info", window, explanationUrl });
    expect(schedule.explanationUrl).toBe(explanationUrl);
    const context = { name: "a.example", now: NOW, random: 0 };
    const later = afterPoll(leaf, schedule, { kind: "info", window }, context, RENEWAL);
    expect(later.schedule.explanationUrl).toBeUndefined();
  });
});

describe("the CA is asked again", () => {
  const leaf = leafOf(90 * DAY);
  const info = { kind: "info", window: { start: NOW + DAY, end: NOW + 2 * DAY } } as const;
  const wait = (polled: Parameters<typeof afterPoll>[2], schedule = {}, random = 0) =>
    (afterPoll(leaf, schedule, polled, { name: "a.example", now: NOW, random }, RENEWAL).schedule.pollAt ??
      0) - NOW;

  it.each([
    ["after what it says", 3 * HOUR, 3 * HOUR],
    ["after a minute at the least", 5_000, MINUTE],
    ["after a day at the most", 40 * DAY, DAY],
    ["after a minute where that has passed", -HOUR, MINUTE],
  ])("%s", (_, retryAfter, expected) => {
    expect(wait({ ...info, retryAt: NOW + retryAfter })).toBe(expected);
  });

  it("after six hours where it says nothing", () => {
    expect(wait(info)).toBe(6 * HOUR);
  });

  it("sooner after what may pass, twice as late each time, but no later than usual", () => {
    const failed = { kind: "failed", lasting: false } as const;
    expect([0, 1, 2, 5, 20].map((failures) => wait(failed, { failures }) / MINUTE)).toEqual([
      1, 2, 4, 32, 360,
    ]);
    expect(wait(failed, {}, 1)).toBe(1.2 * MINUTE);
    expect(wait({ ...failed, retryAt: NOW + 2 * HOUR })).toBe(2 * HOUR);
  });

  it("as usual after what lasts, and once a day where it suggests nothing", () => {
    expect(wait({ kind: "failed", lasting: true })).toBe(6 * HOUR);
    expect(wait({ kind: "unsupported" })).toBe(DAY);
  });

  it("more than once a day in a short life, should it begin to suggest something", () => {
    const context = { name: "a.example", now: NOW, random: 0 };
    const { schedule } = afterPoll(leafOf(160 * HOUR), {}, { kind: "unsupported" }, context, RENEWAL);
    expect(schedule.pollAt).toBe(NOW + 8 * HOUR);
  });

  it.each([
    ["which told all of them the same moment", { kind: "failed", lasting: false, retryAt: NOW + 2 * HOUR }],
    ["which has refused them", { kind: "failed", lasting: true }],
    ["which does not say when", info],
  ] as const)("not by all at once, %s", (_, polled) => {
    const waits = [0, 0.25, 0.5, 0.75, 1].map((random) => wait(polled, {}, random));
    expect(new Set(waits).size).toBe(5);
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThanOrEqual(0.19 * Math.min(...waits));
  });

  it("never before it wants to be, nor much more than a day later, while it fails", () => {
    const failed = { kind: "failed", lasting: false } as const;
    for (const random of [0, 0.5, 1]) {
      const told = wait({ ...failed, retryAt: NOW + 2 * HOUR }, {}, random);
      expect(told).toBeGreaterThanOrEqual(2 * HOUR);
      expect(told).toBeLessThanOrEqual(2.4 * HOUR);
      expect(wait({ ...failed, retryAt: NOW + 40 * DAY }, {}, random)).toBeLessThanOrEqual(1.2 * DAY);
    }
  });

  it("with the plan as it was, whatever it could not say", () => {
    const failed = poll(leaf, { kind: "failed", lasting: false });
    expect(failed).toMatchObject({ renewAt: leaf.renewAt, schedule: { failures: 1 }, isEarly: false });
    const context = { name: "a.example", now: NOW, random: 0 };
    expect(afterPoll(leaf, failed.schedule, info, context, RENEWAL).schedule.failures).toBeUndefined();
  });
});

describe("a choice that the CA cannot be asked about any more", () => {
  const nothing = [
    { kind: "failed", lasting: false },
    { kind: "failed", lasting: true },
  ] as const;
  /** Chosen with an eighth of the lifetime left. */
  const chosen = (age: number): IssuedLeaf => {
    const leaf = leafOf(96 * DAY, age);
    return { ...leaf, renewAt: leaf.notAfter - 12 * DAY };
  };

  it.each(nothing)("stands while more than a sixth of the lifetime is left: %o", (polled) => {
    const leaf = chosen(79 * DAY);
    expect(poll(leaf, polled).renewAt).toBe(leaf.renewAt);
  });

  it.each(nothing)("is not waited for any longer with a sixth left: %o", (polled) => {
    expect(poll(chosen(80 * DAY), polled).renewAt).toBe(NOW);
    expect(poll(chosen(83 * DAY), polled)).toMatchObject({ renewAt: NOW, isEarly: false });
  });

  it("stands where the CA was reached, and suggests nothing any more", () => {
    const leaf = chosen(83 * DAY);
    expect(poll(leaf, { kind: "unsupported" }).renewAt).toBe(leaf.renewAt);
  });

  it("is not put off where it has passed", () => {
    const leaf = chosen(90 * DAY);
    expect(poll(leaf, nothing[0]).renewAt).toBe(leaf.renewAt);
  });

  it("stands where it is a rule of one's own", () => {
    const leaf = chosen(83 * DAY);
    expect(poll(leaf, nothing[0], {}, { ...RENEWAL, renewBefore: 12 * DAY }).renewAt).toBe(leaf.renewAt);
  });
});

describe("a warning before the end", () => {
  const leaf = { ...leafOf(90 * DAY), renewAt: NOW + 60 * DAY };
  const due = (at: number, warned?: number) =>
    dueWarning(leaf, warned === undefined ? {} : { warned }, leaf.notAfter - at, RENEWAL);

  it("is due once at each step, and the last one when it has ended", () => {
    expect(due(15 * DAY)).toBeUndefined();
    expect(due(14 * DAY)).toBe(14 * DAY);
    expect(due(13 * DAY, 14 * DAY)).toBeUndefined();
    // Nobody looked for a while: one warning, not three.
    expect(due(2 * DAY, 14 * DAY)).toBe(3 * DAY);
    expect(due(0, DAY)).toBe(0);
    expect(due(-DAY, 0)).toBeUndefined();
  });

  it("tells when the next one is", () => {
    expect(nextWarningAt(leaf, leaf.notAfter - 10 * DAY, RENEWAL)).toBe(leaf.notAfter - 7 * DAY);
    expect(nextWarningAt(leaf, leaf.notAfter, RENEWAL)).toBe(Number.POSITIVE_INFINITY);
  });

  it("does not come with the renewal itself, where that is late by a rule of one's own", () => {
    for (const before of [10 * DAY, 7 * DAY, 12 * HOUR]) {
      const policy: RenewalPolicy = { ...RENEWAL, renewBefore: before };
      for (const name of NAMES.slice(0, 50)) {
        const ruled = { ...leafOf(90 * DAY), renewAt: renewAtOf(leafOf(90 * DAY), name, policy) };
        expect(dueWarning(ruled, {}, ruled.renewAt, policy)).toBeUndefined();
        const first = nextWarningAt(ruled, ruled.renewAt, policy);
        expect(first).toBeGreaterThan(ruled.renewAt);
        expect(first).toBeLessThan(ruled.notAfter);
        expect(dueWarning(ruled, {}, first, policy)).toBe(ruled.notAfter - first);
      }
    }
  });

  it("of a short life comes in its last quarter", () => {
    const short = { ...leafOf(2 * HOUR), renewAt: NOW + HOUR };
    expect(dueWarning(short, {}, NOW + 80 * MINUTE, RENEWAL)).toBeUndefined();
    expect(dueWarning(short, {}, NOW + 90 * MINUTE, RENEWAL)).toBe(30 * MINUTE);
  });
});
