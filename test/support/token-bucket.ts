/** The token bucket of src/limits/gcra.ts as plain arithmetic, to hold the scripts in Redis against. */
import { emission } from "../../src/limits/gcra.ts";
import type { Limit } from "../../src/limits/table.ts";

export interface Decision {
  allowed: boolean;
  /** The state after the decision; unchanged when it was a refusal. */
  tat: number;
  /** How long until one token is there; 0 when allowed. */
  wait: number;
  /** Whole tokens left after the decision. */
  remaining: number;
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

/** The state that says what a 429 with Retry-After says: the next token is there at `until`, and not before. */
export function exhaustedUntil(limit: Limit, until: number): number {
  return until + emission(limit) * limit.count - emission(limit);
}
