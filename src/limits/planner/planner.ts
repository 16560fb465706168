import { atOnce, type Stepwise } from "../../core/gently.ts";
import { advise } from "./advice.ts";
import type { LimitWait, Plan, PlanInput, PlannedOrder } from "./plan.ts";
import { schedule } from "./schedule.ts";
import type { Placement } from "./simulation.ts";

/**
 * When every certificate will be ordered, and which limit holds whom until when, without asking the CA: admission is
 * played through on a copy of the ledger's buckets. What nobody can foresee is left out: failures, and what others
 * spend of the same buckets.
 */
export function planOrders(input: PlanInput): Plan {
  return atOnce(planning(input));
}

/** The same, to be left and taken up again. */
export function* planning(input: PlanInput): Stepwise<Plan> {
  const scheduled = yield* schedule(input);
  const reported = scheduled.filter(({ order }) => order.reported);
  yield;
  const limits = waitsOf(reported);
  yield;
  const first = reported[0];
  const half = reported[Math.ceil(reported.length / 2) - 1];
  const last = reported.at(-1);
  return {
    orders: reported.length,
    ...(first && half && last
      ? { firstAt: first.at, halfAt: half.at, lastAt: last.at, finishesAt: last.at + input.settle }
      : {}),
    limits,
    certificates: reported.map(planned),
    advice: input.advice === false ? [] : yield* advise(input, scheduled, limits),
  };
}

function planned({ order, at, account, held }: Placement): PlannedOrder {
  const base = { name: order.name, ca: account.ca, at };
  return held ? { ...base, limit: held.limit, key: keyOf({ order, account, held }) } : base;
}

/** What a person knows the bucket by. */
function keyOf({ order, account, held }: Pick<Placement, "order" | "account" | "held">): string {
  switch (held?.limit) {
    case "newOrders":
      return account.ca;
    case "certificatesPerNameSet":
      return order.name;
    default:
      return held?.subject ?? "";
  }
}

/** `scheduled` is in the order of time, so the last one seen of a limit is the last one that it holds. A bucket is one. */
function waitsOf(scheduled: readonly Placement[]): LimitWait[] {
  const waits = new Map<NonNullable<Placement["held"]>, LimitWait>();
  for (const { order, at, account, held } of scheduled) {
    if (!held) continue;
    const wait = waits.get(held) ?? {
      limit: held.limit,
      key: keyOf({ order, account, held }),
      ca: account.ca,
      waits: 0,
      until: at,
    };
    wait.waits++;
    wait.until = at;
    waits.set(held, wait);
  }
  return [...waits.values()].sort((a, b) => b.waits - a.waits || b.until - a.until);
}
