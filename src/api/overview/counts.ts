import { REASONS, STATUSES } from "../../core/certificate.ts";
import { keys } from "../../store/keys.ts";
import { paceOf } from "../../store/pace.ts";
import type { Redis } from "../../store/redis.ts";
import { execAll } from "../../store/script.ts";
import { EXPIRY_DAYS, type Overview } from "../schemas/overview.ts";

const DAY = 86_400_000;
const WITHIN = [7, 14, 30] as const;

type Counts = Pick<Overview, "total" | "statuses" | "waiting" | "pace" | "expiry" | "renewals">;

/** All that sorted sets tell by their sizes, in one round trip. */
export async function countsAt(redis: Redis, now: number): Promise<Counts> {
  const days = daysFrom(now);
  const pipeline = redis.pipeline().zcard(keys.certificates);
  for (const status of STATUSES) pipeline.zcard(keys.status(status));
  for (const reason of REASONS) pipeline.zcard(keys.waiting(reason));
  pipeline.zcount(keys.expiries, "-inf", now);
  for (const within of WITHIN) pipeline.zcount(keys.expiries, `(${now}`, now + within * DAY);
  for (const { from, to } of days) pipeline.zcount(keys.expiries, `(${from}`, to);
  for (const within of [0, 1, 7]) pipeline.zcount(keys.renewTimes, "-inf", now + within * DAY);
  const results = await execAll(pipeline.hgetall(keys.obtained));
  const obtained = results.pop() as Record<string, string>;
  const numbers = results.map(Number);
  const take = (count: number): number[] => numbers.splice(0, count);
  const [total = 0] = take(1);
  const statuses = named(STATUSES, take(STATUSES.length));
  const waiting = named(REASONS, take(REASONS.length));
  const [ended = 0, within7 = 0, within14 = 0, within30 = 0] = take(1 + WITHIN.length);
  const ends = take(days.length);
  const [due = 0, day = 0, week = 0] = take(3);
  return {
    total,
    statuses,
    waiting,
    pace: paceOf(obtained, now),
    expiry: {
      ended,
      within7,
      within14,
      within30,
      days: days.map(({ day: name }, index) => ({ day: name, count: ends[index] ?? 0 })),
    },
    renewals: { due, day, week },
  };
}

/** Without those that are 0. */
function named<K extends string>(names: readonly K[], counts: readonly number[]): Partial<Record<K, number>> {
  const entries = names.map((name, index) => [name, counts[index] ?? 0] as const);
  return Object.fromEntries(entries.filter(([, count]) => count > 0)) as Partial<Record<K, number>>;
}

/** What is left of today, and the whole days after it (UTC); after `from`, up to `to`. */
export function daysFrom(now: number): { day: string; from: number; to: number }[] {
  const midnight = Math.floor(now / DAY) * DAY;
  return Array.from({ length: EXPIRY_DAYS }, (_, index) => {
    const start = midnight + index * DAY;
    return {
      day: new Date(start).toISOString().slice(0, 10),
      from: index === 0 ? now : start - 1,
      to: start + DAY - 1,
    };
  });
}
