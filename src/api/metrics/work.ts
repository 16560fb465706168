import { Counter, type Registry } from "prom-client";
import { CERTIFICATE_LIMITS } from "../../limits/table.ts";
import type { Redis } from "../../store/redis.ts";
import { readTallies, TALLIES, type TallyName } from "../../store/tally.ts";
import type { ApiDeps } from "../deps.ts";

const SERIES: Readonly<Record<TallyName, { name: string; help: string }>> = {
  orders: { name: "certherd_orders_total", help: "Orders that a CA has made." },
  issued: { name: "certherd_issued_total", help: "Certificates that a CA has issued." },
  validations: {
    name: "certherd_validations_total",
    help: "Names that a CA has validated, with success (valid) or without (invalid).",
  },
  failures: {
    name: "certherd_certificate_failures_total",
    help: "How often certificates failed, by the status they were in and the code of the error.",
  },
  requests: {
    name: "certherd_ca_requests_total",
    help: "Requests to a CA, by class of endpoint and answer (2xx, 4xx, 5xx, 429; none where there was none).",
  },
  limited: {
    name: "certherd_ca_rate_limited_total",
    help: "Answers with 429, by the limit that the CA names (requests where it names none).",
  },
  polls: {
    name: "certherd_renewal_polls_total",
    help: "Questions to a CA about a renewal (ARI), by what came of them.",
  },
};

/** Series that are there from the first scrape on: what appears with its first count has never risen for Prometheus. */
const KNOWN: readonly (readonly [TallyName, ...string[]])[] = [
  ["orders"],
  ["issued"],
  ["validations", "valid"],
  ["validations", "invalid"],
  ...CERTIFICATE_LIMITS.map((limit) => ["limited", limit] as const),
  ["limited", "requests"],
];

/**
 * What was done with the CAs. It is counted in Redis, as every process adds to it: a scrape takes it over as it is.
 */
export class WorkMetrics {
  readonly #redis: Redis;
  /** The first one is where certificates go that name no account. */
  readonly #accounts: readonly string[];
  readonly #counters: ReadonlyMap<TallyName, Counter>;

  constructor({ redis, accounts }: Pick<ApiDeps, "redis" | "accounts">, registry: Registry) {
    this.#redis = redis;
    this.#accounts = accounts;
    const names = Object.keys(SERIES) as TallyName[];
    this.#counters = new Map(
      names.map((name) => [
        name,
        new Counter({ ...SERIES[name], labelNames: TALLIES[name], registers: [registry] }),
      ]),
    );
  }

  async read(): Promise<void> {
    const tallies = await readTallies(this.#redis);
    for (const counter of this.#counters.values()) counter.reset();
    for (const account of this.#accounts)
      for (const [name, ...labels] of KNOWN) this.#add(name, [account, ...labels], 0);
    for (const [name, counts] of tallies)
      for (const { labels, count } of counts) this.#add(name, labels, count);
  }

  #add(name: TallyName, [account, ...rest]: readonly string[], count: number): void {
    const values = [account || this.#accounts[0], ...rest];
    const labels = TALLIES[name].map((label, index) => [label, values[index] ?? ""] as const);
    this.#counters.get(name)?.inc(Object.fromEntries(labels), count);
  }
}
