import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { STATUSES } from "../core/certificate.ts";
import type { Role } from "../store/alive.ts";
import { keys } from "../store/keys.ts";
import { StageTimes } from "../store/stage-times.ts";
import type { ApiDeps } from "./deps.ts";
import type { EventHub } from "./events/hub.ts";
import { ExpiryMetrics } from "./metrics/expiry.ts";
import { LedgerMetrics } from "./metrics/ledger.ts";
import { NodeMetrics } from "./metrics/nodes.ts";
import { OrderMetrics } from "./metrics/orders.ts";
import { stageText } from "./metrics/stages.ts";
import { WorkMetrics } from "./metrics/work.ts";
import { allQueues } from "./queue-names.ts";

/** Kinds of failures, there from the first scrape on: what appears with its first count has never risen for Prometheus. */
const FAILURES = ["mail_failed", "webhook_failed", "webhook_gap", "drift"];
const ROLES: readonly Role[] = ["issue", "deploy", "notify", "respond", "renew", "api"];

/** What Redis tells of the whole installation, read when it is asked for, and this process's own metrics. */
export class Metrics {
  readonly #deps: ApiDeps;
  readonly #registry = new Registry();
  readonly #certificates = new Gauge({
    name: "certherd_certificates",
    help: "Certificates by status.",
    labelNames: ["status"],
    registers: [this.#registry],
  });
  readonly #jobs = new Gauge({
    name: "certherd_queue_jobs",
    help: "Jobs by queue and state.",
    labelNames: ["queue", "state"],
    registers: [this.#registry],
  });
  readonly #workers = new Gauge({
    name: "certherd_workers_alive",
    help: "1 while at least one process of the role is alive, on whatever host.",
    labelNames: ["role"],
    registers: [this.#registry],
  });
  readonly #failures = new Counter({
    name: "certherd_failures_total",
    help: "What failed beside single certificates since this Redis was new, by kind.",
    labelNames: ["kind"],
    registers: [this.#registry],
  });

  readonly #clients = new Gauge({
    name: "certherd_event_clients",
    help: "Clients that listen to this process's events.",
    registers: [this.#registry],
  });
  readonly #cutOff = new Counter({
    name: "certherd_event_clients_cut_off_total",
    help: "Clients of this process's events that were cut off as they did not read.",
    registers: [this.#registry],
  });
  readonly #hub: EventHub;
  readonly #expiry: ExpiryMetrics;
  readonly #ledger: LedgerMetrics;
  readonly #nodes: NodeMetrics;
  readonly #orders: OrderMetrics;
  readonly #work: WorkMetrics;

  constructor(deps: ApiDeps, hub: EventHub) {
    this.#deps = deps;
    this.#hub = hub;
    this.#expiry = new ExpiryMetrics(deps.redis, this.#registry);
    this.#ledger = new LedgerMetrics(deps.redis, deps.caLimits, this.#registry);
    this.#nodes = new NodeMetrics(deps.redis, this.#registry);
    this.#orders = new OrderMetrics(deps, this.#registry);
    this.#work = new WorkMetrics(deps, this.#registry);
    collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async render(): Promise<string> {
    await Promise.all([
      this.#countCertificates(),
      this.#countJobs(),
      this.#countWorkers(),
      this.#countFailures(),
      this.#expiry.read(this.#deps.intake.clock.now()),
      this.#ledger.read(this.#deps.intake.clock.now()),
      this.#nodes.read(),
      this.#orders.read(this.#deps.intake.clock.now()),
      this.#work.read(),
    ]);
    this.#countClients();
    return (await this.#registry.metrics()) + stageText(await new StageTimes(this.#deps.redis).all());
  }

  #countClients(): void {
    this.#clients.set(this.#hub.size);
    this.#cutOff.reset();
    this.#cutOff.inc(this.#hub.cutOff);
  }

  async #countCertificates(): Promise<void> {
    const { certificates } = this.#deps;
    const counts = await Promise.all(STATUSES.map((status) => certificates.count(status)));
    for (const [index, status] of STATUSES.entries()) this.#certificates.set({ status }, counts[index] ?? 0);
  }

  async #countJobs(): Promise<void> {
    const { producer } = this.#deps;
    const names = allQueues(this.#deps);
    const counts = await Promise.all(names.map((name) => producer.queue(name).getJobCounts()));
    for (const [index, queue] of names.entries())
      for (const [state, count] of Object.entries(counts[index] ?? {}))
        this.#jobs.set({ queue, state }, count);
  }

  async #countWorkers(): Promise<void> {
    const alive = await this.#deps.alive.roles(this.#deps.intake.clock.now());
    for (const role of ROLES) this.#workers.set({ role }, alive.has(role) ? 1 : 0);
  }

  /** The counters live in Redis, as every process adds to them: a scrape takes them over as they are. */
  async #countFailures(): Promise<void> {
    const counters = await this.#deps.redis.hgetall(keys.counters);
    this.#failures.reset();
    for (const kind of FAILURES) this.#failures.inc({ kind }, 0);
    for (const [kind, count] of Object.entries(counters)) this.#failures.inc({ kind }, Number(count) || 0);
  }
}
