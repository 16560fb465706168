/**
 * One of Boulder's rate limits: a token bucket for each key, kept by GCRA (boulder, ratelimits/gcra.go). All times
 * in milliseconds. Written a second time on purpose: what Certherd keeps is to be measured against this.
 */

/** `count` tokens, which come back within `periodMs`. */
export interface Limit {
  count: number;
  periodMs: number;
}

export interface Decision {
  allowed: boolean;
  /** How long until there is a token; 0 when there is one. */
  retryIn: number;
}

const ALLOWED: Decision = { allowed: true, retryIn: 0 };

export class Buckets {
  readonly limit: Limit;
  /** How long until one token is back. */
  readonly emission: number;
  /** How long until an empty bucket is full. */
  readonly #offset: number;
  /** By key: the theoretical arrival time. A key that is absent has a full bucket. */
  readonly #tats = new Map<string, number>();

  /** Whole milliseconds between two tokens unless `fraction` is set, for limits of hundreds a second. */
  constructor(limit: Limit, { fraction = false } = {}) {
    const emission = limit.periodMs / limit.count;
    this.limit = limit;
    this.emission = fraction ? emission : Math.max(1, Math.floor(emission));
    this.#offset = this.emission * limit.count;
  }

  /** Whether there is a token. Takes none. */
  check(key: string, now: number): Decision {
    const room = this.room(key, now) - this.emission;
    return room < 0 ? { allowed: false, retryIn: -room } : ALLOWED;
  }

  /** Takes a token if there is one. A refusal costs nothing. */
  spend(key: string, now: number): Decision {
    const decision = this.check(key, now);
    if (decision.allowed) this.#tats.set(key, this.#tat(key, now) + this.emission);
    return decision;
  }

  /** Gives a token back; never more than the bucket holds. */
  refund(key: string, now: number): void {
    const tat = this.#tats.get(key);
    if (tat !== undefined && tat > now) this.#tats.set(key, Math.max(tat - this.emission, now));
  }

  /** Fills a bucket. */
  reset(key: string): void {
    this.#tats.delete(key);
  }

  /** What a bucket holds, as the time it takes to come back: one token is worth `emission`. */
  room(key: string, now: number): number {
    return now - (this.#tat(key, now) - this.#offset);
  }

  #tat(key: string, now: number): number {
    return Math.max(now, this.#tats.get(key) ?? now);
  }
}
