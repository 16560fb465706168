import { createInterface } from "node:readline/promises";
import { isRenewable } from "../core/certificate.ts";
import { usageError } from "../core/errors.ts";
import type { PlanOrder } from "../limits/planner/plan.ts";
import { planOrders } from "../limits/planner/planner.ts";
import type { House } from "../runtime/house.ts";
import { planAccounts, planOrder, queuedOrders, SETTLES } from "../runtime/plan.ts";
import { caOf } from "../runtime/renewals.ts";
import { type Io, note } from "./output.ts";
import { planLines } from "./plan-report.ts";

/** Shows when all would be renewed, and asks. Throws where nobody is there to answer. */
export async function confirmRenewalOfAll(house: House, io: Io): Promise<boolean> {
  const now = house.clock.now();
  const orders: PlanOrder[] = [];
  for await (const record of house.certificates.all()) {
    if (record.leaf === undefined || !isRenewable(record)) continue;
    const ca = caOf(house, record);
    orders.push({ ...planOrder(record.spec, true), ...(ca === undefined ? {} : { ca, exempt: true }) });
  }
  const queued = await queuedOrders(house);
  const accounts = await planAccounts(house);
  const plan = planOrders({ now, accounts, orders: [...queued, ...orders], settle: SETTLES });
  for (const line of planLines(plan, { now })) note(io, line);
  if (!process.stdin.isTTY)
    throw usageError("not_confirmed", "Nobody is there to be asked whether that is all right: add --yes.");
  const asking = createInterface({ input: process.stdin, output: io.err });
  try {
    return /^y(es)?$/i.test((await asking.question(`Renew ${orders.length} certificates? [y/N] `)).trim());
  } finally {
    asking.close();
  }
}
