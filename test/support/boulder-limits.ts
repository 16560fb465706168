/**
 * Let's Encrypt's rate limits, and when each is checked and spent: boulder, wfe2/wfe.go (newOrder), ra/ra.go (the
 * rest), as of August 2026. The numbers: https://letsencrypt.org/docs/rate-limits/. Nothing here reads a clock.
 */
import { getDomain } from "tldts";
import { Buckets, type Limit } from "./boulder-bucket.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export const BOULDER_LIMITS = {
  /** By account. */
  newOrders: { count: 300, periodMs: 3 * HOUR },
  /** By registered domain, for all accounts together. */
  certificatesPerDomain: { count: 50, periodMs: 7 * DAY },
  /** By the exact set of names, for all accounts together. */
  certificatesPerNameSet: { count: 5, periodMs: 7 * DAY },
  /** By account and name. */
  failedAuthorizations: { count: 5, periodMs: HOUR },
  /** By account and name: failures with no success in between. The one too many pauses the pair. */
  consecutiveFailures: { count: 1_152, periodMs: 1_152 * DAY },
} as const satisfies Record<string, Limit>;

export type LimitName = keyof typeof BOULDER_LIMITS;
const LIMIT_NAMES = Object.keys(BOULDER_LIMITS) as LimitName[];
/** Those that an order can be refused for. The other leads to a pause. */
export type OrderLimit = Exclude<LimitName, "consecutiveFailures">;

/** An order is a renewal if its very names had a certificate within this time. */
const RENEWAL_WINDOW = 120 * DAY;
/** Who was unpaused is not paused again for this long (boulder, sa/sa.go). */
const UNPAUSE_GRACE = 14 * DAY;

export interface BoulderOptions {
  /** All periods are divided by this: at 1,000, an hour is 3.6 seconds. */
  scale?: number;
  /** Over the defaults, and scaled as they are; null switches one off. */
  limits?: Partial<Record<LimitName, Limit | null>>;
}

export interface OrderRequest {
  account: string;
  names: readonly string[];
  /** The order says which certificate it replaces (RFC 9773). Its window is not looked at. */
  replaces?: boolean;
}

export interface Exceeded {
  limit: OrderLimit;
  /** Its count and its period, scaled. */
  of: Limit;
  /** What the bucket is for: an account, a domain, a name, or names with commas between. */
  key: string;
  retryIn: number;
}

export type Refusal =
  | Exceeded
  /** Only a person ends this. `key` are the paused names. */
  | { limit: "paused"; key: string };

export type Verdict =
  /** `checked` are the limits that had a say; `spent` tells whether a new-order token was taken. */
  { allowed: true; checked: OrderLimit[]; spent: boolean } | { allowed: false; refusal: Refusal };

type Check = readonly [limit: OrderLimit, bucket: string, key: string];

export class BoulderLimits {
  readonly #buckets = new Map<LimitName, Buckets>();
  /** By set of names: when a certificate was last issued. */
  readonly #issued = new Map<string, number>();
  /** The name of each paused pair of account and name. */
  readonly #pausedPairs = new Map<string, string>();
  readonly #pausedNames = new Set<string>();
  readonly #unpaused = new Map<string, number>();
  readonly #scale: number;

  constructor({ scale = 1, limits = {} }: BoulderOptions = {}) {
    this.#scale = scale;
    for (const name of LIMIT_NAMES) {
      const limit = limits[name] === undefined ? BOULDER_LIMITS[name] : limits[name];
      if (!limit) continue;
      const periodMs = Math.floor(limit.periodMs / scale);
      this.#buckets.set(name, new Buckets({ count: limit.count, periodMs }));
    }
  }

  /** What is kept of that limit, its period scaled; undefined where it is switched off. */
  buckets(limit: LimitName): Buckets | undefined {
    return this.#buckets.get(limit);
  }

  /** All that are kept, with their periods scaled. */
  limits(): Partial<Record<LimitName, Limit>> {
    return Object.fromEntries([...this.#buckets].map(([name, { limit }]) => [name, limit]));
  }

  /** Whether an order may be made. Takes its new-order token, and of the other limits nothing. */
  newOrder(order: OrderRequest, now: number): Verdict {
    const names = normalize(order.names);
    const paused = names.filter((name) => this.isPaused(order.account, name));
    // This comes even before the exemption of `replaces`.
    if (paused.length > 0) return { allowed: false, refusal: { limit: "paused", key: paused.join(", ") } };
    if (order.replaces) return { allowed: true, checked: [], spent: false };
    const renewal = this.isRenewal(names, now);
    const checks = checksFor(order.account, names, renewal).filter(([limit]) => this.#buckets.has(limit));
    const refusal = this.#strictest(checks, now);
    if (refusal) return { allowed: false, refusal };
    const checked = [...new Set(checks.map(([limit]) => limit))];
    const spent = checked.includes("newOrders");
    if (spent) this.#buckets.get("newOrders")?.spend(order.account, now);
    return { allowed: true, checked, spent };
  }

  /** An order whose token was taken was not made after all. */
  refundNewOrder(account: string, now: number): void {
    this.#buckets.get("newOrders")?.refund(account, now);
  }

  /** A certificate was issued. What is over a limit by now is not counted: the orders had been let through. */
  issued(orderNames: readonly string[], now: number): void {
    const names = normalize(orderNames);
    const set = names.join(",");
    // Decided anew here, as Boulder does: of two first orders for the same names, one is a renewal in the end.
    if (!this.isRenewal(names, now)) {
      for (const domain of domainsOf(names)) this.#buckets.get("certificatesPerDomain")?.spend(domain, now);
    }
    this.#buckets.get("certificatesPerNameSet")?.spend(set, now);
    this.#issued.set(set, now);
  }

  /** A validation failed, or an authorization was given up before one. */
  failed(account: string, name: string, now: number): void {
    const pair = pairOf(account, name);
    this.#buckets.get("failedAuthorizations")?.spend(pair, now);
    const last = this.#buckets.get("consecutiveFailures")?.spend(pair, now);
    const graceUntil = (this.#unpaused.get(pair) ?? -Infinity) + UNPAUSE_GRACE / this.#scale;
    if (last?.allowed === false && now >= graceUntil) this.#pausedPairs.set(pair, name);
  }

  /** A validation succeeded. */
  succeeded(account: string, name: string): void {
    this.#buckets.get("consecutiveFailures")?.reset(pairOf(account, name));
  }

  isRenewal(names: readonly string[], now: number): boolean {
    const last = this.#issued.get(normalize(names).join(","));
    return last !== undefined && now - last <= RENEWAL_WINDOW / this.#scale;
  }

  isPaused(account: string, name: string): boolean {
    return this.#pausedNames.has(name) || this.#pausedPairs.has(pairOf(account, name));
  }

  /** Pauses a name for every account, whether it has failed or not. */
  pause(name: string): void {
    this.#pausedNames.add(name.toLowerCase());
  }

  /** A person has visited the page, for each account that had this name paused. */
  unpause(name: string, now: number): void {
    const wanted = name.toLowerCase();
    this.#pausedNames.delete(wanted);
    for (const [pair, paused] of this.#pausedPairs) {
      if (paused !== wanted) continue;
      this.#pausedPairs.delete(pair);
      this.#unpaused.set(pair, now);
    }
  }

  /** Of several refusals the one that lasts longest is told. */
  #strictest(checks: readonly Check[], now: number): Exceeded | undefined {
    let strictest: Exceeded | undefined;
    for (const [limit, bucket, key] of checks) {
      const buckets = this.#buckets.get(limit);
      const decision = buckets?.check(bucket, now);
      if (!buckets || !decision || decision.allowed) continue;
      const { retryIn } = decision;
      if (retryIn >= (strictest?.retryIn ?? 0)) strictest = { limit, of: buckets.limit, key, retryIn };
    }
    return strictest;
  }
}

/** In Boulder's order. */
function checksFor(account: string, names: readonly string[], renewal: boolean): Check[] {
  const set = names.join(",");
  const failures = names.map((name): Check => ["failedAuthorizations", pairOf(account, name), name]);
  const domains = domainsOf(names).map((domain): Check => ["certificatesPerDomain", domain, domain]);
  return [
    ...(renewal ? [] : [["newOrders", account, account] as const]),
    ...failures,
    ...(renewal ? [] : domains),
    ["certificatesPerNameSet", set, set],
  ];
}

function normalize(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => name.toLowerCase()))].sort();
}

function domainsOf(names: readonly string[]): string[] {
  const bare = names.map((name) => name.replace(/^\*\./, ""));
  // A name that is itself a public suffix counts as it is.
  return [...new Set(bare.map((name) => getDomain(name, { allowPrivateDomains: true }) ?? name))];
}

function pairOf(account: string, name: string): string {
  return `${account} ${name}`;
}
