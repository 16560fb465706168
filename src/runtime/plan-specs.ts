import { mostNames } from "../acme/profiles.ts";
import type { CertificateSpec } from "../core/certificate.ts";
import { gently } from "../core/gently.ts";
import type { Plan, PlanOrder } from "../limits/planner/plan.ts";
import { planning } from "../limits/planner/planner.ts";
import type { House } from "./house.ts";
import { Orders, planAccounts, queuedOrders, SETTLES } from "./plan.ts";

/** When these would be ordered if they were asked for now, behind the `queued` ones. Asks no CA, changes nothing. */
export async function planOf(
  house: House,
  specs: Iterable<CertificateSpec>,
): Promise<{ plan: Plan; now: number; queued: number }> {
  const wanted = new Wanted(house);
  for (const spec of specs) wanted.add(spec);
  return await wanted.plan();
}

/** What is asked for, as it comes: of each is kept what the plan needs, which is much less than all of it. */
export class Wanted {
  readonly #house: House;
  readonly #orders: PlanOrder[] = [];
  readonly #made = new Orders();

  constructor(house: House) {
    this.#house = house;
  }

  add(spec: CertificateSpec): void {
    this.#orders.push(this.#made.of(spec, true));
  }

  async plan(): Promise<{ plan: Plan; now: number; queued: number }> {
    const { cas, spillAfter } = this.#house.config;
    const asked = new Set(this.#orders.map(({ name }) => name));
    const now = this.#house.clock.now();
    // What is asked for anew takes the place of what is queued.
    const queued = (await queuedOrders(this.#house)).filter(({ name }) => !asked.has(name));
    const most = mostNames(cas[0].directory, cas[0].profile ?? "");
    const steps = planning({
      now,
      accounts: await planAccounts(this.#house),
      orders: [...queued, ...this.#orders],
      settle: SETTLES,
      ...(most === undefined ? {} : { maxNames: most }),
      ...(spillAfter === undefined || cas.length < 2 ? {} : { spillAfter }),
    });
    return { plan: await gently(steps), now, queued: queued.length };
  }
}
