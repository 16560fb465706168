import type { Limit } from "./table.ts";

/**
 * Let's Encrypt's limits are token buckets whose whole state is one number, the theoretical arrival time (TAT): the
 * moment at which the bucket is full again (boulder, ratelimits/gcra.go). A token is there at a moment `t` if
 * max(t, TAT) + emission - emission * count <= t, and taking it makes TAT = max(t, TAT) + emission. All times in
 * milliseconds; whole numbers, as Boulder's are whole nanoseconds. The arithmetic itself is in the scripts, as it has
 * to be one step for all workers.
 */

/** Milliseconds after which one token is back. */
export function emission(limit: Limit): number {
  return Math.max(1, Math.floor(limit.period / limit.count));
}
