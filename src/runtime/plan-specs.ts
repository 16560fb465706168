import { mostNames } from "../acme/profiles.ts";
import type { CertificateSpec } from "../core/certificate.ts";
import type { Plan } from "../limits/planner/plan.ts";
import { planOrders } from "../limits/planner/planner.ts";
import type { House } from "./house.ts";
import { planAccounts, planOrder, queuedOrders, SETTLES } from "./plan.ts";

/** When these would be ordered if they were asked for now, behind the `queued` ones. Asks no CA, changes nothing. */
export async function planOf(
  house: House,
  specs: readonly CertificateSpec[],
): Promise<{ plan: Plan; now: number; queued: number }> {
  const { cas, spillAfter } = house.config;
  const wanted = specs.map((spec) => planOrder(spec, true));
  const asked = new Set(wanted.map(({ name }) => name));
  const now = house.clock.now();
  // What is asked for anew takes the place of what is queued.
  const queued = (await queuedOrders(house)).filter(({ name }) => !asked.has(name));
  const most = mostNames(cas[0].directory, cas[0].profile ?? "");
  const plan = planOrders({
    now,
    accounts: await planAccounts(house),
    orders: [...queued, ...wanted],
    settle: SETTLES,
    ...(most === undefined ? {} : { maxNames: most }),
    ...(spillAfter === undefined || cas.length < 2 ? {} : { spillAfter }),
  });
  return { plan, now, queued: queued.length };
}
