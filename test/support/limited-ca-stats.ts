/** What a CA with limits has let through and refused. */
import type { OrderLimit, Refusal } from "./boulder-limits.ts";

const ORDER_LIMITS: readonly OrderLimit[] = [
  "newOrders",
  "certificatesPerDomain",
  "certificatesPerNameSet",
  "failedAuthorizations",
];

export const REQUEST_CLASSES = ["newNonce", "newOrder", "acme"] as const;
/** Endpoints that share a limit of requests per second; `acme` is what the others leave of /acme/. */
export type RequestClass = (typeof REQUEST_CLASSES)[number];

export interface Tally {
  letThrough: number;
  refused: number;
}

export interface NewOrderTally extends Tally {
  /** Let through without a token, as renewals. */
  exempt: number;
  /** Let through, but then refused by Pebble. Not among those let through. */
  refunded: number;
  /** Tokens that went to other clients. */
  byOthers: number;
  /** Milliseconds; of those that cost a token. */
  firstAt?: number;
  lastAt?: number;
  /**
   * Orders that an ideal client could have made between these two moments: what was in the bucket, and what came
   * back since, without what went to others. All accounts together; Infinity with the limit switched off.
   */
  wouldHaveAllowed: number;
}

export interface RefusedOrder {
  limit: Refusal["limit"];
  key: string;
  at: number;
  account: string;
}

export interface LimitedCaStats {
  limits: Record<Exclude<OrderLimit, "newOrders">, Tally> & { newOrders: NewOrderTally };
  /** Orders refused for a paused name. */
  paused: number;
  requests: Record<RequestClass, Tally>;
  refusals: RefusedOrder[];
  /** By name: when a client had the CA look at a challenge. */
  validations: Record<string, number[]>;
}

interface Use {
  firstAt: number;
  lastAt: number;
  /** What the bucket held at first, in milliseconds of refilling. */
  room: number;
  byOthers: number;
}

export class Tallies {
  readonly limits = tallies(ORDER_LIMITS);
  readonly requests = tallies(REQUEST_CLASSES);
  readonly refusals: RefusedOrder[] = [];
  readonly validations = new Map<string, number[]>();
  readonly orders = { exempt: 0, refunded: 0, byOthers: 0 };
  readonly #uses = new Map<string, Use>();

  refuse(refusal: RefusedOrder): void {
    this.refusals.push(refusal);
    if (refusal.limit !== "paused") this.limits[refusal.limit].refused++;
  }

  /** `room` is what the account's bucket held before this order. */
  useNewOrder(account: string, now: number, room: number): void {
    const use = this.#uses.get(account);
    if (use) use.lastAt = now;
    else this.#uses.set(account, { firstAt: now, lastAt: now, room, byOthers: 0 });
  }

  giveToOthers(account: string, count: number): void {
    this.orders.byOthers += count;
    const use = this.#uses.get(account);
    if (use) use.byOthers += count;
  }

  validation(name: string, now: number): void {
    const times = this.validations.get(name);
    if (times) times.push(now);
    else this.validations.set(name, [now]);
  }

  /** `emission` is that of the new-order limit, undefined where it is switched off. */
  stats(emission: number | undefined): LimitedCaStats {
    const uses = [...this.#uses.values()];
    const ideal = uses.map(({ room, firstAt, lastAt, byOthers }) =>
      emission === undefined ? Infinity : Math.floor((room + lastAt - firstAt) / emission) - byOthers,
    );
    const copy = structuredClone({ limits: this.limits, requests: this.requests, refusals: this.refusals });
    const newOrders = {
      ...copy.limits.newOrders,
      ...this.orders,
      ...(uses.length > 0 && {
        firstAt: Math.min(...uses.map((use) => use.firstAt)),
        lastAt: Math.max(...uses.map((use) => use.lastAt)),
      }),
      wouldHaveAllowed: ideal.reduce((sum, each) => sum + each, 0),
    };
    return {
      ...copy,
      limits: { ...copy.limits, newOrders },
      paused: copy.refusals.filter(({ limit }) => limit === "paused").length,
      validations: Object.fromEntries([...this.validations].map(([name, times]) => [name, [...times]])),
    };
  }
}

function tallies<K extends string>(names: readonly K[]): Record<K, Tally> {
  return Object.fromEntries(names.map((name) => [name, { letThrough: 0, refused: 0 }])) as Record<K, Tally>;
}
