import type { Limit } from "./table.ts";

/**
 * The arithmetic of a token bucket as Let's Encrypt keeps it (boulder, ratelimits/gcra.go): its whole state is one
 * number, the theoretical arrival time (TAT). All times in milliseconds; whole numbers, as Boulder's are.
 */
export interface Decision {
  allowed: boolean;
  /** The state after the decision; unchanged when it was a refusal. */
  tat: number;
  /** How long until one token is there; 0 when allowed. */
  wait: number;
  /** Whole tokens left after the decision. */
  remaining: number;
}

/** Milliseconds after which one token is back. */
export function emission(limit: Limit): number {
  return Math.max(1, Math.floor(limit.period / limit.count));
}

/** Takes one token if there is one. */
export function spend(limit: Limit, tat: number, now: number): Decision {
  const interval = emission(limit);
  const offset = interval * limit.count;
  const next = Math.max(now, tat) + interval;
  const room = now - (next - offset);
  if (room < 0) return { allowed: false, tat, wait: -room, remaining: 0 };
  return { allowed: true, tat: next, wait: 0, remaining: Math.floor(room / interval) };
}

/** Gives one token back; a full bucket stays as it is. */
export function refund(limit: Limit, tat: number, now: number): number {
  return tat <= now ? tat : Math.max(tat - emission(limit), now);
}

/** The state that says what a 429 with Retry-After says: the next token is there at `until`, and not before. */
export function exhaustedUntil(limit: Limit, until: number): number {
  return until + emission(limit) * limit.count - emission(limit);
}
