import type { Stepwise } from "../../core/gently.ts";
import { grouped } from "../../core/grouped.ts";
import type { BucketState } from "../buckets.ts";
import { emission } from "../gcra.ts";
import type { Limit, OrderLimit } from "../table.ts";
import type { PlanAccount, PlanInput, PlanOrder } from "./plan.ts";

/** What a person might ask for instead, as the orders that it comes to. */
export interface Regrouped {
  orders: PlanOrder[];
  /** How many names were put together, and in how many certificates they are now. */
  names: number;
  certificates: number;
  /** The names that one of the new orders stands for. */
  stands: ReadonlyMap<PlanOrder, number>;
}

/** Let's Encrypt: https://letsencrypt.org/docs/rate-limits/#new-orders-per-account */
const MOST_NAMES = 100;

export function namesOf(order: PlanOrder): readonly string[] {
  return order.names ?? [order.name];
}

/** Whether it could be another certificate: asked for just now, and of one registered domain. */
export function canRegroup(order: PlanOrder, now: number): boolean {
  return (
    order.reported && order.exempt !== true && order.domains.length === 1 && (order.notBefore ?? now) <= now
  );
}

/** The names of each registered domain together, as SANs of as few certificates as can hold them. */
export function* joined(input: PlanInput, wanted: (order: PlanOrder) => boolean): Stepwise<Regrouped> {
  const groups = grouped(
    input.orders.filter((order) => canRegroup(order, input.now) && wanted(order)),
    ({ domains, ca }) => `${domains[0]} ${ca ?? ""}`,
  );
  const instead = new Map<PlanOrder, PlanOrder | undefined>();
  const stands = new Map<PlanOrder, number>();
  let names = 0;
  let certificates = 0;
  for (const group of groups.values()) {
    yield;
    if (group.length < 2) continue;
    for (const chunk of chunks(group, input.maxNames ?? MOST_NAMES)) {
      const size = chunk.reduce((sum, order) => sum + namesOf(order).length, 0);
      names += size;
      certificates++;
      const [first] = chunk;
      if (!first || chunk.length === 1) continue;
      const all = chunk.flatMap((order) => namesOf(order));
      const order = { ...first, names: all, set: `joined ${first.name}` };
      for (const one of chunk) instead.set(one, undefined);
      instead.set(first, order);
      stands.set(order, size);
    }
  }
  return { orders: replaced(input.orders, instead), names, certificates, stands };
}

/** The urgent ones first, so that they do not wait for others. */
function chunks(group: readonly PlanOrder[], most: number): PlanOrder[][] {
  const found: PlanOrder[][] = [];
  let room = 0;
  for (const order of [...group].sort((a, b) => a.priority - b.priority)) {
    const size = namesOf(order).length;
    if (size > room) {
      found.push([]);
      room = most;
    }
    found.at(-1)?.push(order);
    room -= size;
  }
  return found;
}

/**
 * One wildcard in place of the names beside those that are held; undefined unless all of these stand directly below
 * one name.
 */
export function wildcard(
  input: PlanInput,
  domain: string,
  held: readonly PlanOrder[],
): (Regrouped & { name: string }) | undefined {
  const parents = new Set(held.flatMap((order) => namesOf(order).map(parentOf)));
  const [parent] = parents;
  if (parents.size !== 1 || parent === undefined || !`.${parent}`.endsWith(`.${domain}`)) return undefined;
  const covered = input.orders.filter(
    (order) =>
      canRegroup(order, input.now) &&
      order.domains[0] === domain &&
      namesOf(order).every((one) => parentOf(one) === parent),
  );
  const instead = new Map<PlanOrder, PlanOrder | undefined>(covered.map((order) => [order, undefined]));
  const cas = new Set(covered.map(({ ca }) => ca));
  if (held.some((order) => !instead.has(order)) || covered.length < 2 || cas.size !== 1) return undefined;
  const first = covered.reduce((best, order) => (order.priority < best.priority ? order : best));
  const name = `*.${parent}`;
  const order = { ...first, name, names: [name], set: name };
  const names = covered.reduce((sum, one) => sum + namesOf(one).length, 0);
  instead.set(first, order);
  const stands = new Map([[order, names]]);
  return { orders: replaced(input.orders, instead), names, certificates: 1, stands, name };
}

function parentOf(name: string): string {
  return name.slice(name.indexOf(".") + 1);
}

function replaced(
  orders: readonly PlanOrder[],
  instead: ReadonlyMap<PlanOrder, PlanOrder | undefined>,
): PlanOrder[] {
  return orders.flatMap((order) => (instead.has(order) ? (instead.get(order) ?? []) : order));
}

/** The same accounts, but for one limit that is not there. */
export function lifted(
  accounts: readonly PlanAccount[],
  ca: string,
  limit: OrderLimit,
  subject: string,
): PlanAccount[] {
  return accounts.map((account) =>
    account.ca === ca
      ? {
          ca,
          pace: account.pace,
          limit: (kind, about) =>
            kind === limit && about === subject ? undefined : account.limit(kind, about),
          bucket: (kind, about) => account.bucket(kind, about),
          ...(account.blockedUntil === undefined ? {} : { blockedUntil: account.blockedUntil }),
        }
      : account,
  );
}

/**
 * The least count per period with which a bucket would hold none of the orders at these times (ascending), as two
 * leading digits: it is for a form. `inHand`: tokens that are never used.
 */
export function* neededCount(
  times: readonly number[],
  limit: Limit,
  { state, now, inHand }: { state: BucketState | undefined; now: number; inHand: number },
): Stepwise<number> {
  const used = state ? Math.max(0, state.tat - now) / emission(limit) + state.holds : 0;
  const fits = (count: number): boolean => {
    const interval = emission({ count, period: limit.period });
    const burst = Math.max(1, count - inHand) * interval;
    let tat = now + used * interval;
    return times.every((time) => {
      tat = Math.max(time, tat) + interval;
      return tat - burst <= time;
    });
  };
  let low = limit.count;
  let high = Math.max(low, Math.ceil(used) + times.length + inHand);
  while (low < high) {
    yield;
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) high = middle;
    else low = middle + 1;
  }
  const unit = Math.max(10, 10 ** (String(low).length - 2));
  return Math.ceil(low / unit) * unit;
}
