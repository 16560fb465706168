import type { Stepwise } from "../../core/gently.ts";
import { grouped } from "../../core/grouped.ts";
import type { PlanAccount, PlanInput, PlanOrder } from "./plan.ts";
import { type Placement, simulate } from "./simulation.ts";

/**
 * When every order goes, and where. Without `spillAfter` all that name no CA go to the first account.
 *
 * With it, the accounts are simulated one after the other: the first one gets all that have a choice, and those that
 * it would order too late move on to the next. Those that are too late everywhere are dealt out so that each takes
 * the earliest place that is left. Then each account is simulated again with what it keeps. It is an approximation:
 * who leaves makes room for others, and nobody comes back.
 */
export function* schedule(input: PlanInput): Stepwise<Placement[]> {
  const { accounts, now } = input;
  const queue = inOrder(input.orders, now);
  const choices = queue.map((order) => chosen(order, accounts));
  const [only] = accounts;
  if (only && accounts.length === 1) return yield* simulate(only, queue, input);
  const accountOf = new Map(queue.map((order, index) => [order, choices[index]]));
  if (input.spillAfter !== undefined) yield* spill(input, queue, accountOf, input.spillAfter);
  const placements: Placement[][] = [];
  for (const account of accounts) {
    const here = queue.filter((order) => accountOf.get(order) === account);
    placements.push(yield* simulate(account, here, input));
  }
  return placements.flat().sort((a, b) => a.at - b.at);
}

/**
 * As they go. Renewals that the CA exempts do not stand in the admission queue, so they are before all others. Who
 * comes due later is behind those of the same priority that are there already.
 */
function inOrder(orders: readonly PlanOrder[], now: number): readonly PlanOrder[] {
  const compare = (a: PlanOrder, b: PlanOrder): number =>
    Number(b.exempt ?? false) - Number(a.exempt ?? false) ||
    a.priority - b.priority ||
    dueAt(a, now) - dueAt(b, now);
  // As a file that says nothing of priorities is; to sort a hundred thousand takes long at one go.
  const first = orders.findIndex(
    (order, index) => index > 0 && compare(orders[index - 1] ?? order, order) > 0,
  );
  return first === -1 ? orders : [...orders].sort(compare);
}

function dueAt({ notBefore }: PlanOrder, now: number): number {
  return Math.max(now, notBefore ?? now);
}

function chosen(order: PlanOrder, accounts: readonly PlanAccount[]): PlanAccount {
  const account = order.ca === undefined ? accounts[0] : accounts.find(({ ca }) => ca === order.ca);
  if (account) return account;
  throw new RangeError(`There is no account for ${order.name} (CA ${order.ca ?? "of its choice"}).`);
}

/** Moves orders on from account to account. */
function* spill(
  input: PlanInput,
  queue: readonly PlanOrder[],
  accountOf: Map<PlanOrder, PlanAccount | undefined>,
  spillAfter: number,
): Stepwise<void> {
  const inTime = ({ order, at }: Placement): boolean => at <= dueAt(order, input.now) + spillAfter;
  const tried: Map<PlanOrder, Placement>[] = [];
  let moving = new Set(queue.filter(({ ca }) => ca === undefined));
  for (const account of input.accounts) {
    if (moving.size === 0) return;
    const here = queue.filter((order) => moving.has(order) || order.ca === account.ca);
    const placements = (yield* simulate(account, here, input)).filter(({ order }) => moving.has(order));
    const late = placements.filter((placement) => !inTime(placement));
    tried.push(new Map(late.map((placement) => [placement.order, placement])));
    for (const placement of placements) if (inTime(placement)) accountOf.set(placement.order, account);
    moving = new Set(late.map(({ order }) => order));
  }
  if (moving.size === 0) return;
  const spilled = queue.filter((order) => tried[0]?.has(order));
  for (const group of alike(spilled, tried[0])) {
    const places = placesOf(group, tried);
    group
      .filter((order) => moving.has(order))
      .forEach((order, index) => {
        accountOf.set(order, input.accounts[places[index] ?? 0]);
      });
  }
}

/** Those that are held by the same limit compete for the same places. */
function alike(
  late: readonly PlanOrder[],
  tried: ReadonlyMap<PlanOrder, Placement> | undefined,
): Iterable<PlanOrder[]> {
  return grouped(late, (order) => {
    const held = tried?.get(order)?.held;
    return held === undefined ? "" : `${held.limit} ${held.subject}`;
  }).values();
}

/**
 * The places that the group had at the accounts where it was late, the earliest first, as numbers of accounts. Those
 * that found a place in time elsewhere have left theirs to the others.
 */
function placesOf(
  group: readonly PlanOrder[],
  tried: readonly ReadonlyMap<PlanOrder, Placement>[],
): number[] {
  return tried
    .flatMap((placements, index) =>
      group.flatMap((order) => {
        const at = placements.get(order)?.at;
        return at === undefined ? [] : [{ at, index }];
      }),
    )
    .sort((a, b) => a.at - b.at || a.index - b.index)
    .map(({ index }) => index);
}
