import { Gauge, type Registry } from "prom-client";
import { Breaker } from "../../limits/breaker.ts";
import { standingOf } from "../../limits/standing.ts";
import type { CaLimits } from "../../limits/table.ts";
import { LedgerView } from "../../limits/view.ts";
import { AccountStops } from "../../store/account-stops.ts";
import type { Redis } from "../../store/redis.ts";

/** What the CAs still allow their accounts. Of domains and sets of names there are too many for a series each. */
export class LedgerMetrics {
  readonly #redis: Redis;
  readonly #limits: ReadonlyMap<string, CaLimits>;
  readonly #remaining: Gauge<"account" | "limit">;
  readonly #burst: Gauge<"account" | "limit">;
  readonly #stopped: Gauge<"account" | "why">;

  constructor(redis: Redis, limits: ReadonlyMap<string, CaLimits>, registry: Registry) {
    this.#redis = redis;
    this.#limits = limits;
    const labelNames = ["account", "limit"] as const;
    const registers = [registry];
    this.#remaining = new Gauge({
      name: "certherd_limit_remaining",
      help: "What an account's limit still allows now.",
      labelNames,
      registers,
    });
    this.#burst = new Gauge({
      name: "certherd_limit_burst",
      help: "What an account's limit allows at once when nothing was used.",
      labelNames,
      registers,
    });
    this.#stopped = new Gauge({
      name: "certherd_account_stopped",
      help: "1 while nothing of the account goes on: the CA refuses it, or its circuit breaker is open.",
      labelNames: ["account", "why"],
      registers,
    });
  }

  async read(now: number): Promise<void> {
    await Promise.all([...this.#limits].map(([account, limits]) => this.#account(account, limits, now)));
  }

  async #account(account: string, limits: CaLimits, now: number): Promise<void> {
    const [state, refused, broken] = await Promise.all([
      new LedgerView(this.#redis, account).state("newOrders", ""),
      new AccountStops(this.#redis).reason(account),
      new Breaker(this.#redis, account).state(),
    ]);
    this.#stopped.set({ account, why: "refused" }, refused === undefined ? 0 : 1);
    this.#stopped.set({ account, why: "breaker" }, broken === undefined ? 0 : 1);
    const { newOrders } = limits.certificates;
    if (newOrders === undefined) return;
    const { burst, remaining } = standingOf(newOrders, state, now);
    this.#remaining.set({ account, limit: "newOrders" }, remaining);
    this.#burst.set({ account, limit: "newOrders" }, burst);
  }
}
