import { Gauge, type Registry } from "prom-client";
import { queueNames } from "../../queue/names.ts";
import type { ApiDeps } from "../deps.ts";

/** More orders than these an account has not in flight, over all processes. */
const MOST = 200;

/** How long orders have been on their way: one that hangs at the CA is seen here first. */
export class OrderMetrics {
  readonly #deps: Pick<ApiDeps, "producer" | "accounts">;
  readonly #oldest: Gauge<"account">;

  constructor(deps: Pick<ApiDeps, "producer" | "accounts">, registry: Registry) {
    this.#deps = deps;
    this.#oldest = new Gauge({
      name: "certherd_order_oldest_age_seconds",
      help: "How long ago the oldest of the orders in flight was admitted; 0 where there is none.",
      labelNames: ["account"],
      registers: [registry],
    });
  }

  async read(now: number): Promise<void> {
    const { accounts, producer } = this.#deps;
    await Promise.all(
      accounts.map(async (account) => {
        const queue = producer.queue(queueNames.order(account));
        const jobs = await queue.getJobs(["active", "wait", "prioritized", "delayed"], 0, MOST - 1);
        // One that has ended between the two reads is no job any more.
        const since = jobs.map((job) => job?.timestamp ?? now);
        this.#oldest.set({ account }, Math.max(0, now - Math.min(now, ...since)) / 1_000);
      }),
    );
  }
}
