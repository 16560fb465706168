import { rfc3339 } from "../core/clock.ts";
import type { Plan } from "../limits/planner/plan.ts";

/** What became of the file's rows, where the plan is of a file. */
export interface PlanRows {
  rows: number;
  accepted: number;
  unchanged: number;
  rejected: number;
}

/** Certificates in one piece of the document. */
const PIECE = 500;

/** `{orders, finishesAt, limits, certificates, …}` as JSON text, in pieces. `finishesAt` is null without an order. */
export async function* planDocument(plan: Plan, { rows }: { rows?: PlanRows } = {}): AsyncGenerator<string> {
  const time = (ms: number | undefined): string | null => (ms === undefined ? null : rfc3339(ms));
  const head = {
    ...rows,
    orders: plan.orders,
    firstAt: time(plan.firstAt),
    halfAt: time(plan.halfAt),
    lastAt: time(plan.lastAt),
    finishesAt: time(plan.finishesAt),
    limits: plan.limits.map((wait) => ({ ...wait, until: rfc3339(wait.until) })),
    advice: plan.advice.map((advice) => ({ ...advice, finishesAt: rfc3339(advice.finishesAt) })),
  };
  yield `${JSON.stringify(head).slice(0, -1)},"certificates":[`;
  for (let from = 0; from < plan.certificates.length; from += PIECE) {
    const piece = plan.certificates
      .slice(from, from + PIECE)
      .map(({ name, at, ...rest }) => JSON.stringify({ name, at: rfc3339(at), ...rest }));
    yield (from === 0 ? "" : ",") + piece.join(",");
  }
  yield "]}\n";
}
