import type { Stepwise } from "../../core/gently.ts";
import { type PlanBucket, PlanBuckets } from "./bucket.ts";
import { Heap } from "./heap.ts";
import { Line, type Mark } from "./line.ts";
import type { PlanAccount, PlanOrder } from "./plan.ts";
import { Rooms } from "./rooms.ts";

/** Steps between two moments at which it can be left; a few milliseconds. */
const STEPS = 2_000;
const NEVER = Number.POSITIVE_INFINITY;

/** An order, and when it goes. */
export interface Placement {
  order: PlanOrder;
  account: PlanAccount;
  at: number;
  /** The bucket that was the last to let it go, if it had to wait for one. */
  held: Pick<PlanBucket, "limit" | "subject"> | undefined;
}

/**
 * When one account would order what is queued for it, in the order of their time. `orders` come as they go: the first
 * one first. Whenever an order can be made it is the first one whose domains and set of names have a token each; if
 * the account has none then, all wait for that. Renewals that are exempt wait for their set alone.
 *
 * It jumps from event to event: an order comes due, a bucket gets a token, a certificate is there. Its time is
 * O(n log n), as a token calls one line only out of its room. Several kinds of orders that share several scarce
 * domains may be sent to and fro between the rooms for each token.
 */
export function simulate(
  account: PlanAccount,
  orders: readonly PlanOrder[],
  { now, settle }: { now: number; settle: number },
): Stepwise<Placement[]> {
  return new Simulation(account, orders, now, settle).run();
}

class Simulation {
  readonly #orders: readonly PlanOrder[];
  readonly #account: PlanAccount;
  readonly #settle: number;
  readonly #buckets: PlanBuckets;
  readonly #newOrders: PlanBucket | undefined;
  readonly #placements: Placement[] = [];

  readonly #start: number;
  #time: number;
  /** The installation makes no order before. */
  #paced = 0;
  /** How long admission has stood still for the account's bucket. */
  #stoodStill = 0;

  readonly #lines = new Map<string, Line>();
  readonly #lineOf: (Line | undefined)[] = [];
  readonly #rooms = new Rooms(this.#lineOf);
  /** The admission queue: the first orders of the lines that are in no room. */
  readonly #queue = new Heap<number>((a, b) => a < b);
  /** Orders that come due later, by their time. */
  readonly #later: number[] = [];
  #nextLater = 0;
  /** Orders in flight, by the time of their certificate. */
  readonly #flights: ({ at: number; buckets: readonly PlanBucket[] } | undefined)[] = [];
  #nextFlight = 0;
  /** When the orders came that were not there at the start. */
  readonly #arrivals = new Map<number, Mark>();

  constructor(account: PlanAccount, orders: readonly PlanOrder[], now: number, settle: number) {
    this.#orders = orders;
    this.#account = account;
    this.#settle = settle;
    this.#buckets = new PlanBuckets(account, orders, now);
    this.#newOrders = this.#buckets.get("newOrders", "");
    this.#start = Math.max(now, account.blockedUntil ?? now);
    this.#time = this.#start;
  }

  *run(): Stepwise<Placement[]> {
    for (const order of this.#orders.keys()) {
      if (this.#dueAt(order) > this.#time) this.#later.push(order);
      else this.#arrive(order);
      if (order % STEPS === 0) yield;
    }
    this.#later.sort((a, b) => this.#dueAt(a) - this.#dueAt(b));
    for (let step = 1; this.#step(); step++) if (step % STEPS === 0) yield;
    return this.#placements;
  }

  #step(): boolean {
    this.#catchUp();
    const order = this.#queue.peek();
    if (order === undefined) return this.#sleep(NEVER);
    const line = this.#lineOf[order];
    if (line === undefined || line.room !== undefined || line.head !== order) this.#queue.pop();
    else if (this.#time < this.#paced) return this.#sleep(this.#paced);
    else return this.#consider(order, line);
    return true;
  }

  #consider(order: number, line: Line): boolean {
    const empty = this.#rooms.emptyTheLongest(order, line.buckets, this.#time);
    const { set = "", exempt = false } = this.#orders[order] ?? {};
    const setBucket = this.#buckets.get("certificatesPerNameSet", set);
    const ownSet = setBucket !== undefined && !line.buckets.includes(setBucket) ? setBucket : undefined;
    if (empty !== undefined) this.#rooms.enter(empty, line, this.#time);
    else if (ownSet && !this.#rooms.isFree(order, ownSet, this.#time)) this.#partWith(order, line, ownSet);
    else {
      const token = exempt ? this.#time : (this.#newOrders?.when(1, this.#time) ?? this.#time);
      if (token > this.#time) {
        const before = this.#time;
        const slept = this.#sleep(token);
        this.#stoodStill += this.#time - before;
        return slept;
      }
      this.#place(order, line, ownSet ? [...line.buckets, ownSet] : line.buckets);
    }
    return true;
  }

  /** On to the next event, or to `until` if that comes first; false when nothing will ever happen again. */
  #sleep(until: number): boolean {
    const later = this.#later[this.#nextLater];
    const next = Math.min(
      until,
      later === undefined ? NEVER : this.#dueAt(later),
      this.#rooms.nextCall,
      this.#flights[this.#nextFlight]?.at ?? NEVER,
    );
    if (next === NEVER) return false;
    this.#time = next;
    return true;
  }

  /** Whatever has happened until now. */
  #catchUp(): void {
    for (;;) {
      const flight = this.#flights[this.#nextFlight];
      if (flight === undefined || flight.at > this.#time) break;
      this.#flights[this.#nextFlight++] = undefined;
      for (const bucket of flight.buckets) {
        bucket.settle(flight.at);
        this.#rooms.changed(bucket, this.#time);
      }
    }
    for (;;) {
      const order = this.#later[this.#nextLater];
      if (order === undefined || this.#dueAt(order) > this.#time) break;
      this.#nextLater++;
      this.#arrivals.set(order, this.#mark());
      this.#arrive(order);
    }
    if (this.#rooms.nextCall > this.#time) return;
    for (const line of this.#rooms.call(this.#mark())) this.#enqueue(line);
  }

  #arrive(order: number): void {
    const { domains = [], exempt = false } = this.#orders[order] ?? {};
    const buckets = exempt
      ? []
      : domains
          .map((domain) => this.#buckets.get("certificatesPerDomain", domain))
          .filter((bucket) => bucket !== undefined);
    const key = exempt ? "(exempt)" : buckets.map(({ subject }) => subject).join(" ");
    this.#join(order, this.#line(key, buckets));
  }

  #line(key: string, buckets: readonly PlanBucket[]): Line {
    const found = this.#lines.get(key);
    if (found) return found;
    const line = new Line(buckets);
    this.#lines.set(key, line);
    return line;
  }

  #join(order: number, line: Line): void {
    this.#lineOf[order] = line;
    line.add(order);
    if (line.head !== order) return;
    // It may go before those who made the line wait.
    this.#rooms.dismiss(line, this.#time);
    this.#rooms.leave(line, this.#mark());
    this.#enqueue(line);
  }

  /** The set of names has no token: the order waits for that too, and the rest of the line goes on. */
  #partWith(order: number, line: Line, set: PlanBucket): void {
    line.shift();
    this.#rooms.dismiss(line, this.#time);
    this.#enqueue(line);
    const key = `${line.buckets.map(({ subject }) => subject).join(" ")} set ${set.subject}`;
    this.#join(order, this.#line(key, [...line.buckets, set]));
  }

  #enqueue(line: Line): void {
    if (line.head !== undefined) this.#queue.push(line.head);
  }

  #place(order: number, line: Line, buckets: readonly PlanBucket[]): void {
    const planned = this.#orders[order] as PlanOrder;
    const held = this.#heldBy(order, line);
    this.#placements.push({ order: planned, account: this.#account, at: this.#time, held });
    if (!planned.exempt) this.#newOrders?.spend(this.#time);
    for (const bucket of buckets) bucket.hold();
    if (buckets.length > 0) this.#flights.push({ at: this.#time + this.#settle, buckets });
    this.#paced = this.#time + this.#account.pace;
    line.shift();
    this.#rooms.dismiss(line, this.#time);
    this.#enqueue(line);
  }

  /**
   * What let it go last. Who comes from a waiting room and finds nobody before him has the account's next token to wait
   * for at most: that is not what held him.
   */
  #heldBy(order: number, line: Line): PlanBucket | undefined {
    const arrival = this.#arrivals.get(order) ?? { time: this.#start, stoodStill: 0 };
    const left = line.left && line.left.time > arrival.time ? line.left : undefined;
    const forAccount = this.#stoodStill - (left ?? arrival).stoodStill;
    const paying = this.#orders[order]?.exempt !== true;
    if (paying && forAccount > (left ? (this.#newOrders?.emission ?? 0) : 0)) return this.#newOrders;
    return left?.bucket;
  }

  #mark(): Mark {
    return { time: this.#time, stoodStill: this.#stoodStill };
  }

  #dueAt(order: number): number {
    return this.#orders[order]?.notBefore ?? 0;
  }
}
