import type { BucketState } from "../buckets.ts";
import type { Limit, OrderLimit } from "../table.ts";

/**
 * What the planner is told, and what it tells. All times in milliseconds since the epoch, all durations in
 * milliseconds.
 */

/** One order to come. Their sequence in the list is the one in which they were accepted. */
export interface PlanOrder {
  /** The certificate's first name. */
  name: string;
  /** All its names, the first one included, where there are more; what may be joined or put under a wildcard. */
  names?: readonly string[];
  /** The distinct registered domains among its names. */
  domains: readonly string[];
  /** Equal for the same set of names. */
  set: string;
  /** A smaller one goes first. */
  priority: number;
  /** False: it was queued before. It competes, but nothing is reported of it. */
  reported: boolean;
  /** Its CA, where it has no choice. */
  ca?: string;
  notBefore?: number;
  /** A renewal: no token of new orders and domains, and it does not stand in the admission queue. Give its `ca` too. */
  exempt?: boolean;
}

export interface PlanAccount {
  /** The CA's name. */
  ca: string;
  /** The least time between two orders: what the installation can do, whatever the CA allows. */
  pace: number;
  /** `subject`: "" for newOrders, a registered domain, or a set of names. Undefined: no such limit. */
  limit(kind: OrderLimit, subject: string): Limit | undefined;
  /** Undefined: full. */
  bucket(kind: OrderLimit, subject: string): BucketState | undefined;
  /** Out of service until then. */
  blockedUntil?: number;
}

export interface PlanInput {
  now: number;
  /** In the order of preference. */
  accounts: readonly PlanAccount[];
  orders: readonly PlanOrder[];
  /** An order that would wait longer than that goes to the next account; undefined: none ever does. */
  spillAfter?: number;
  /** From an order to its certificate. */
  settle: number;
  /** Whether to try out what would help, which takes longer than the plan itself; true when left out. */
  advice?: boolean;
  /** The most names in one certificate, for the advice; 100 if undefined, 25 in some of Let's Encrypt's profiles. */
  maxNames?: number;
}

export interface PlannedOrder {
  name: string;
  ca: string;
  at: number;
  /** What let it go last, if it had to wait for a limit. */
  limit?: OrderLimit;
  /** The CA for newOrders, the registered domain, or the certificate's first name for its set of names. */
  key?: string;
}

export interface LimitWait {
  limit: OrderLimit;
  key: string;
  ca: string;
  /** How many certificates wait for it. */
  waits: number;
  /** When the last of them is ordered. */
  until: number;
}

/** Something a person can do so that all goes faster. */
export interface Advice {
  /** Names joined as SANs; one wildcard; a higher limit granted by the CA. */
  kind: "join" | "wildcard" | "override";
  limit: OrderLimit;
  /** As in `LimitWait`; "" for all domains that hold something. */
  key: string;
  /** How many names it is about. */
  names: number;
  /** In how many orders they would be got. */
  orders: number;
  /** When the whole plan would be finished. */
  finishesAt: number;
  /** A sentence for a person. */
  text: string;
}

export interface Plan {
  orders: number;
  firstAt?: number;
  /** When half of the orders are made. */
  halfAt?: number;
  lastAt?: number;
  /** When the last certificate is there. */
  finishesAt?: number;
  /** What holds the most certificates first. */
  limits: LimitWait[];
  /** In the order of their time. */
  certificates: PlannedOrder[];
  advice: Advice[];
}
