import type { Redis } from "ioredis";
import { keys } from "./keys.ts";

/** Milliseconds of one count, and how many of them make a day. */
export const OBTAINED_SLOT = 300_000;
export const OBTAINED_SLOTS = 86_400_000 / OBTAINED_SLOT;
const HOUR_SLOTS = 3_600_000 / OBTAINED_SLOT;

export interface Pace {
  hour: number;
  day: number;
}

/** How many leaves were obtained lately, as the counts of five minutes say: up to five minutes less than the time named. */
export async function paceAt(redis: Redis, now: number): Promise<Pace> {
  return paceOf(await redis.hgetall(keys.obtained), now);
}

export function paceOf(counts: Readonly<Record<string, string>>, now: number): Pace {
  const present = Math.floor(now / OBTAINED_SLOT);
  const since = (slots: number): number =>
    Object.entries(counts)
      .filter(([slot]) => Number(slot) > present - slots && Number(slot) <= present)
      .reduce((sum, [, count]) => sum + Number(count), 0);
  return { hour: since(HOUR_SLOTS), day: since(OBTAINED_SLOTS) };
}
