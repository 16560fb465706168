import { type Clock, rfc3339 } from "../../core/clock.ts";
import { Cache } from "../../core/flow.ts";
import type { Alive } from "../../store/alive.ts";
import { type Nodes, type Place, placeKey } from "../../store/nodes.ts";
import type { Redis } from "../../store/redis.ts";
import type { Overview } from "../schemas/overview.ts";
import { countsAt } from "./counts.ts";

/** Milliseconds that one answer serves for all who ask, and how long the budgets do: they may take longer to find out. */
const LIFETIME = 1_000;
const BUDGETS_LIFETIME = 5_000;
/** Of budgets. */
const MOST_SHOWN = 12;

export interface OverviewDeps {
  redis: Redis;
  clock: Clock;
  alive: Alive;
  nodes: Nodes;
  /** Every node under each of its ports. */
  places: readonly Place[];
  /** The accounts' own limits, then what the most wait for. */
  budgets: (most: number) => Promise<Overview["budgets"]>;
  /** Milliseconds since the epoch. */
  finishesAt: () => Promise<number | undefined>;
}

/** What a person looks at first, made once a second however many ask. */
export class OverviewSource {
  readonly #deps: OverviewDeps;
  readonly #answers: Cache<Overview>;
  readonly #budgets: Cache<Overview["budgets"]>;

  constructor(deps: OverviewDeps) {
    this.#deps = deps;
    const options = { failureLifetime: 0, most: 1 };
    this.#answers = new Cache(deps.clock, { ...options, lifetime: LIFETIME });
    this.#budgets = new Cache(deps.clock, { ...options, lifetime: BUDGETS_LIFETIME });
  }

  get(): Promise<Overview> {
    return this.#answers.get("", () => this.#make());
  }

  async #make(): Promise<Overview> {
    const { redis, clock, alive, nodes, places, budgets, finishesAt } = this.#deps;
    const now = clock.now();
    const [counts, shown, last, faults, processes] = await Promise.all([
      countsAt(redis, now),
      this.#budgets.get("", () => budgets(MOST_SHOWN)),
      finishesAt(),
      nodes.faults(places),
      alive.processes(now),
    ]);
    return {
      at: rfc3339(now),
      ...counts,
      finishesAt: last === undefined ? null : rfc3339(last),
      budgets: shown,
      nodes: places.map((place) => {
        const fault = faults.get(placeKey(place));
        const { name, vipPort } = place;
        return {
          node: name,
          vipPort,
          ...(fault === undefined ? {} : { fault: fault.detail, since: rfc3339(fault.since) }),
        };
      }),
      processes: processes.map(({ at, ...rest }) => ({ ...rest, seenAt: rfc3339(at) })),
    };
  }
}
