/** Milliseconds before the first, second, … look at an order; the last one repeats. */
const DELAYS = [500, 1_000, 2_000, 3_000, 5_000, 10_000, 15_000, 30_000];
/** With the delays above about half an hour, far beyond what any CA takes to validate or to sign. */
const MOST = 70;
/** A CA that asks for more is asked again all the same: it may have meant another request. */
const LONGEST = 300_000;

/**
 * When to look at an order for the `polls`-th time, in milliseconds since the epoch: a Retry-After counts as the
 * least wait (RFC 8555 §7.5.1). Undefined when it has been looked at often enough.
 */
export function pollAt(polls: number, now: number, retryAt?: number): number | undefined {
  if (polls > MOST) return undefined;
  const delay = DELAYS[Math.min(polls, DELAYS.length) - 1] ?? LONGEST;
  return Math.min(Math.max(now + delay, retryAt ?? 0), now + LONGEST);
}
