import { type BucketState, sizeOf } from "../buckets.ts";
import type { Limit, OrderLimit } from "../table.ts";
import type { PlanAccount, PlanOrder } from "./plan.ts";

/**
 * A bucket as the planner moves it on: the same arithmetic as gcra.ts, with the tokens of orders in flight held until
 * the CA spends them. Times in milliseconds since the epoch.
 */
export class PlanBucket {
  readonly limit: OrderLimit;
  readonly subject: string;
  /** Milliseconds after which one token is back. */
  readonly emission: number;
  readonly #burst: number;
  #tat: number;
  #holds = 0;

  constructor(limit: OrderLimit, subject: string, allowed: Limit, { tat, holds }: BucketState, now: number) {
    this.limit = limit;
    this.subject = subject;
    const { emission, burst } = sizeOf(limit, allowed);
    this.emission = emission;
    this.#burst = burst;
    this.#tat = holds > 0 ? Math.max(now, tat) + holds * this.emission : tat;
  }

  /** When that many tokens are there, `time` at the earliest. Infinity: not before an order in flight has ended. */
  when(tokens: number, time: number): number {
    const missing = this.#holds + tokens - this.#burst;
    return missing > 0 ? Number.POSITIVE_INFINITY : Math.max(time, this.#tat + missing * this.emission);
  }

  spend(time: number): void {
    this.#tat = Math.max(time, this.#tat) + this.emission;
  }

  hold(): void {
    this.#holds++;
  }

  /** The CA has spent what was held for one order. */
  settle(time: number): void {
    this.#holds--;
    this.spend(time);
  }
}

const FULL: BucketState = { tat: 0, holds: 0 };

/**
 * The buckets of one account as they are `now`, as far as they can ever hold one of these orders: of 100,000 sets of
 * names hardly one is asked for more often than it may be.
 */
export class PlanBuckets {
  readonly #account: PlanAccount;
  readonly #now: number;
  readonly #scarce: Record<OrderLimit, Map<string, PlanBucket>> = {
    newOrders: new Map(),
    certificatesPerDomain: new Map(),
    certificatesPerNameSet: new Map(),
  };

  constructor(account: PlanAccount, orders: readonly PlanOrder[], now: number) {
    this.#account = account;
    this.#now = now;
    const sets = new Map<string, number>();
    const domains = new Map<string, number>();
    let paying = 0;
    for (const order of orders) {
      sets.set(order.set, (sets.get(order.set) ?? 0) + 1);
      if (order.exempt) continue;
      paying++;
      for (const domain of order.domains) domains.set(domain, (domains.get(domain) ?? 0) + 1);
    }
    this.#add("newOrders", "", paying);
    for (const [domain, uses] of domains) this.#add("certificatesPerDomain", domain, uses);
    for (const [set, uses] of sets) this.#add("certificatesPerNameSet", set, uses);
  }

  /** Undefined where there is no such limit, or enough for all. */
  get(limit: OrderLimit, subject: string): PlanBucket | undefined {
    return this.#scarce[limit].get(subject);
  }

  #add(limit: OrderLimit, subject: string, uses: number): void {
    const allowed = this.#account.limit(limit, subject);
    if (allowed === undefined) return;
    const state = this.#account.bucket(limit, subject);
    const bucket = new PlanBucket(limit, subject, allowed, state ?? FULL, this.#now);
    if (bucket.when(uses, this.#now) > this.#now) this.#scarce[limit].set(subject, bucket);
  }
}
