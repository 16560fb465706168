import { Gauge, type Registry } from "prom-client";
import { keys } from "../../store/keys.ts";
import type { Redis } from "../../store/redis.ts";

/** Which nodes take nothing now. */
export class NodeMetrics {
  readonly #redis: Redis;
  readonly #faults: Gauge<"node" | "port">;

  constructor(redis: Redis, registry: Registry) {
    this.#redis = redis;
    this.#faults = new Gauge({
      name: "certherd_node_fault",
      help: "1 while nothing can be deployed to that port of a node; missing where all is well.",
      labelNames: ["node", "port"],
      registers: [registry],
    });
  }

  async read(): Promise<void> {
    const places = await this.#redis.hkeys(keys.nodeFaults);
    this.#faults.reset();
    for (const place of places) {
      const [port = "", node = ""] = place.split("/");
      this.#faults.set({ node, port }, 1);
    }
  }
}
