import { Gauge, type Registry } from "prom-client";
import { keys } from "../../store/keys.ts";
import type { Redis } from "../../store/redis.ts";
import { execAll } from "../../store/script.ts";

const DAY = 86_400_000;
/** Days from now. */
const WITHIN = [7, 14, 30];

/** What ends soon, and whose renewal is due; counted in sorted sets, however many certificates there are. */
export class ExpiryMetrics {
  readonly #redis: Redis;
  readonly #expiring: Gauge<"within">;
  readonly #expired: Gauge;
  readonly #next: Gauge;
  readonly #due: Gauge;

  constructor(redis: Redis, registry: Registry) {
    this.#redis = redis;
    const registers = [registry];
    this.#expiring = new Gauge({
      name: "certherd_certificates_expiring",
      help: "Certificates that are valid now and end within that time.",
      labelNames: ["within"],
      registers,
    });
    this.#expired = new Gauge({
      name: "certherd_certificates_expired",
      help: "Certificates whose newest leaf has ended.",
      registers,
    });
    this.#next = new Gauge({
      name: "certherd_certificate_next_expiry_timestamp_seconds",
      help: "When the next of the valid certificates ends, in seconds since the epoch; 0 where there is none.",
      registers,
    });
    this.#due = new Gauge({
      name: "certherd_renewals_due",
      help: "Certificates whose renewal is to be looked at now.",
      registers,
    });
  }

  async read(now: number): Promise<void> {
    const pipeline = this.#redis.pipeline();
    for (const days of WITHIN) pipeline.zcount(keys.expiries, `(${now}`, now + days * DAY);
    pipeline
      .zcount(keys.expiries, "-inf", now)
      .zcount(keys.renewals, "-inf", now)
      .zrangebyscore(keys.expiries, `(${now}`, "+inf", "WITHSCORES", "LIMIT", 0, 1);
    const results = await execAll(pipeline);
    for (const [index, days] of WITHIN.entries())
      this.#expiring.set({ within: `${days}d` }, Number(results[index]));
    const [expired, due, next] = results.slice(WITHIN.length);
    this.#expired.set(Number(expired));
    this.#due.set(Number(due));
    this.#next.set(Number((next as string[])[1] ?? 0) / 1_000);
  }
}
