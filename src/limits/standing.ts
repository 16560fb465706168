import type { BucketState } from "./buckets.ts";
import { emission } from "./gcra.ts";
import type { Limit } from "./table.ts";

/** How a bucket stands, in whole tokens of the CA's own count. */
export interface Standing {
  burst: number;
  /** Taken, or held for an order in flight. */
  used: number;
  remaining: number;
  /** When the next token comes back; milliseconds since the epoch. */
  nextAt: number;
}

export function standingOf(limit: Limit, { tat, holds }: BucketState, now: number): Standing {
  const interval = emission(limit);
  const offset = interval * limit.count;
  const start = Math.max(now, tat);
  const remaining = Math.max(0, Math.floor((now + offset - start) / interval) - holds);
  // What is held comes back when it is spent or given up, which nobody can say; this is as if it was spent now.
  const nextAt = Math.max(now, start + (holds + remaining + 1) * interval - offset);
  return { burst: limit.count, used: limit.count - remaining, remaining, nextAt };
}
