/** Two years of 10,000 certificates by a simulated clock: when they are renewed, and when the CA is asked. */
import { describe, expect, it } from "vitest";
import type { IssuedLeaf, RenewalState } from "../../../src/core/certificate.ts";
import { afterPoll, firstPlan, RENEWAL, type RenewalPolicy } from "../../../src/renewal/policy.ts";
import { randomFrom } from "../../support/random.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const YEARS = 2 * 365 * DAY;
const COUNT = 10_000;
/** The CA is asked once a life here, as the same answer changes nothing; how often it is asked is a test of its own. */
const ONCE: RenewalPolicy = { ...RENEWAL, poll: { ...RENEWAL.poll, most: YEARS } };

interface Certificate {
  name: string;
  leaf: IssuedLeaf;
  schedule: RenewalState;
}

interface Scenario {
  ari: boolean;
  /** Of a certificate that is made at that moment. */
  lifetime(at: number): number;
  /** When each one comes, from 0. */
  begins(index: number): number;
  policy?: RenewalPolicy;
  /** Milliseconds that the CA wants to be left alone. */
  retryAfter?: number;
  /** Milliseconds, from 0. */
  until?: number;
  count?: number;
}

interface Result {
  /** Renewals on each day and in each hour, and polls in each hour, from 0. */
  days: number[];
  renewals: number[];
  hours: number[];
  expired: number;
  tooEarly: number;
}

/** Goes from event to event in the order of time, by hour: within one the order does not matter. */
function simulate(scenario: Scenario): Result {
  const { ari, lifetime, begins, policy = ONCE, retryAfter = YEARS, until = YEARS, count = COUNT } = scenario;
  const random = randomFrom(4_711);
  const agenda: number[][] = Array.from({ length: Math.ceil(YEARS / HOUR) + 1 }, () => []);
  const certificates: (Certificate | undefined)[] = new Array(count).fill(undefined);
  const result: Result = {
    days: new Array(730).fill(0),
    renewals: new Array(730 * 24).fill(0),
    hours: new Array(730 * 24).fill(0),
    expired: 0,
    tooEarly: 0,
  };
  const plan = (index: number, at: number): void => {
    const slot = agenda[Math.floor(at / HOUR)];
    if (at < until) slot?.push(index);
  };
  const obtain = (index: number, now: number, age = 0): void => {
    const name = `n${index}.example`;
    const notBefore = now - age;
    const notAfter = notBefore + lifetime(now);
    const { renewAt, schedule } = firstPlan({ notBefore, notAfter }, name, now, policy);
    const leaf = { notBefore, notAfter, issuer: "CA", serial: "01", renewAt };
    certificates[index] = { name, leaf, schedule };
    plan(index, next(leaf, schedule));
  };
  const next = (leaf: IssuedLeaf, { pollAt = 0 }: RenewalState): number =>
    ari ? Math.min(leaf.renewAt, pollAt) : leaf.renewAt;
  const renew = (index: number, { leaf }: Certificate, now: number): void => {
    if (now >= leaf.notAfter) result.expired++;
    if (now < earliest(leaf, ari)) result.tooEarly++;
    const day = Math.floor(now / DAY);
    result.days[day] = (result.days[day] ?? 0) + 1;
    const hour = Math.floor(now / HOUR);
    result.renewals[hour] = (result.renewals[hour] ?? 0) + 1;
    obtain(index, now);
  };
  const ask = (index: number, { name, leaf, schedule }: Certificate, now: number): void => {
    const hour = Math.floor(now / HOUR);
    result.hours[hour] = (result.hours[hour] ?? 0) + 1;
    const polled = { kind: "info", window: windowOf(leaf), retryAt: now + retryAfter } as const;
    const context = { name, now, random: random.below(2 ** 20) / 2 ** 20 };
    const planned = afterPoll(leaf, schedule, polled, context, policy);
    const after = { ...leaf, renewAt: planned.renewAt };
    certificates[index] = { name, leaf: after, schedule: planned.schedule };
    plan(index, next(after, planned.schedule));
  };
  for (let index = 0; index < count; index++) plan(index, begins(index));
  for (const [hour, slot] of agenda.entries()) {
    // More may come into the slot while it is gone through.
    for (const index of slot) {
      const certificate = certificates[index];
      if (!certificate) obtain(index, begins(index));
      else {
        const at = next(certificate.leaf, certificate.schedule);
        if (Math.floor(at / HOUR) !== hour) continue;
        if (at >= certificate.leaf.renewAt) renew(index, certificate, at);
        else ask(index, certificate, at);
      }
    }
  }
  return result;
}

/** As Boulder suggests it: two days around a third of the lifetime left, less for short lives. */
function windowOf({ notBefore, notAfter }: IssuedLeaf): { start: number; end: number } {
  const life = notAfter - notBefore;
  const ideal = notAfter - (life < 10 * DAY ? life / 2 : life / 3);
  const half = Math.min(DAY, life / 50);
  return { start: ideal - half, end: ideal + half };
}

function earliest(leaf: IssuedLeaf, ari: boolean): number {
  const life = leaf.notAfter - leaf.notBefore;
  if (ari) return windowOf(leaf).start;
  return leaf.notAfter - (life < 10 * DAY ? life / 2 : life / 3) - Math.min(DAY, life / 30) - 1;
}

const mean = (values: readonly number[]): number => values.reduce((sum, n) => sum + n, 0) / values.length;
const falling = (at: number): number => (at < 0.6 * YEARS ? 90 : at < 0.8 * YEARS ? 64 : 45) * DAY;

describe.each([true, false])("with renewal information: %s", { timeout: 60_000 }, (ari) => {
  it.each([
    ["90 days", () => 90 * DAY, 90 * DAY],
    ["64 days", () => 64 * DAY, 64 * DAY],
    ["45 days", () => 45 * DAY, 45 * DAY],
    ["160 hours", () => 160 * HOUR, 160 * HOUR],
    ["90, then 64, then 45 days", falling, 90 * DAY],
  ])(
    "%s: no day has three times the renewals of the mean, none is late, and none early",
    (_, lifetime, life) => {
      // They have come over time, as an operator's customers do.
      const spread = (life * 2) / 3;
      // A short life goes round as often in less time.
      const until = Math.min(YEARS, 12 * life);
      const begins = (n: number): number => (n / COUNT) * spread;
      const { days, expired, tooEarly } = simulate({ ari, lifetime, begins, until });
      const settled = days.slice(Math.ceil(life / DAY), Math.floor(until / DAY));
      expect(Math.max(...settled)).toBeLessThanOrEqual(3 * mean(settled));
      expect(mean(settled)).toBeGreaterThan(COUNT / 90);
      expect({ expired, tooEarly }).toEqual({ expired: 0, tooEarly: 0 });
    },
  );

  it("an import of 10,000 at once, as fast as the limits allow, comes back over more days than it came in", () => {
    // 300 at once, then one every 36 s: four days.
    const begins = (n: number): number => Math.max(0, n - 300) * 36_000;
    const { days, renewals, expired } = simulate({ ari, lifetime: () => 90 * DAY, begins });
    const busiestDayOfTheImport = 300 + DAY / 36_000;
    expect(Math.max(...days)).toBeLessThanOrEqual(busiestDayOfTheImport);
    // 100 an hour come one by one, and the 300 spread over a day: as much again is what chance may add (five sigma).
    const expected = 100 + 300 / 24;
    expect(Math.max(...renewals)).toBeLessThanOrEqual(expected + 5 * Math.sqrt(expected));
    const round = (n: number): number[] => days.slice(n * 60 - 5, n * 60 + 25).filter((count) => count > 0);
    expect(round(2).length).toBeGreaterThan(round(1).length - 1);
    expect(Math.max(...round(4))).toBeLessThan(Math.max(...round(1)));
    expect(expired).toBe(0);
  });
});

it("10,000 that came within an hour are asked about four times a day, evenly over its hours", {
  timeout: 60_000,
}, () => {
  const begins = (n: number): number => (n / COUNT) * HOUR;
  const lifetime = (): number => 90 * DAY;
  const until = 10 * DAY;
  const { hours } = simulate({ ari: true, lifetime, begins, policy: RENEWAL, retryAfter: 6 * HOUR, until });
  const asked = hours.slice(24, 9 * 24);
  expect(mean(asked)).toBeCloseTo(COUNT / 6, -1);
  expect(Math.max(...asked)).toBeLessThanOrEqual(1.3 * mean(asked));
});

/** Fewer of them, as each is asked about hundreds of times. */
it.each([
  ["90 days", () => 90 * DAY, 90 * DAY],
  ["64 days", () => 64 * DAY, 64 * DAY],
  ["45 days", () => 45 * DAY, 45 * DAY],
  ["160 hours", () => 160 * HOUR, 160 * HOUR],
])(
  "%s: asked about four times a day, no hour has three times the polls of the mean, and none is late",
  {
    timeout: 60_000,
  },
  (_, lifetime, life) => {
    const count = 200;
    const begins = (n: number): number => (n / count) * ((life * 2) / 3);
    // Until each was renewed at least once, and the new leaf asked about.
    const until = life * 1.5;
    const scenario = { ari: true, lifetime, begins, policy: RENEWAL, retryAfter: 6 * HOUR, until, count };
    const { hours, renewals, expired, tooEarly } = simulate(scenario);
    const settled = hours.slice(Math.ceil((life * 2) / 3 / HOUR), Math.floor(until / HOUR));
    // A new leaf's first poll comes within its interval: a little more than four times a day.
    expect(mean(settled)).toBeGreaterThan((count / 6) * 0.95);
    expect(mean(settled)).toBeLessThan((count / 6) * 1.1);
    expect(Math.max(...settled)).toBeLessThanOrEqual(3 * mean(settled));
    expect(renewals.reduce((sum, n) => sum + n, 0)).toBeGreaterThanOrEqual(count);
    expect({ expired, tooEarly }).toEqual({ expired: 0, tooEarly: 0 });
  },
);

it("10,000 that the CA was asked about at once, as after an outage, drift apart where it names no time", () => {
  const random = randomFrom(815);
  const leaf = { notBefore: 0, notAfter: 90 * DAY, issuer: "CA", serial: "01", renewAt: 60 * DAY };
  const window = windowOf(leaf);
  const minutes: number[] = new Array(360).fill(0);
  for (let index = 0; index < COUNT; index++) {
    const schedule: RenewalState = { window, pollAt: 0 };
    let now = 0;
    for (let polls = 0; polls < 12; polls++) {
      const context = { name: `n${index}.example`, now, random: random.below(2 ** 20) / 2 ** 20 };
      now = afterPoll(leaf, schedule, { kind: "info", window }, context, RENEWAL).schedule.pollAt ?? now;
    }
    const minute = Math.floor(now / 60_000) % minutes.length;
    minutes[minute] = (minutes[minute] ?? 0) + 1;
  }
  // After three days, all at the same moment would still be 10,000 in one minute.
  expect(Math.max(...minutes)).toBeLessThanOrEqual(4 * mean(minutes));
});
