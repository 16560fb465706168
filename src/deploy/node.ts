import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeConfig } from "../config/terminations.ts";
import { type CertificateRecord, firstNameOf } from "../core/certificate.ts";
import { type AppError, asAppError } from "../core/errors.ts";
import { DONE, type Outcome } from "../queue/consumer.ts";
import type { DeployJob } from "../queue/names.ts";
import { placeKey } from "../store/nodes.ts";
import type { Rollouts } from "./advance.ts";
import type { DeployDeps } from "./ports.ts";
import { putBatch } from "./put.ts";
import { finishRemoval } from "./removal.ts";
import { isUpToDate, refusedBy } from "./rollout.ts";
import type { Target } from "./target.ts";

export type NodeOutcome = Outcome<DeployJob>;

/** Milliseconds: how long a node that failed is left alone, after the first time, the second, and so on. */
const REST = [2_000, 5_000, 10_000, 20_000, 30_000] as const;
/** Between two times of asking for the turn, and of saying that it is still needed. */
const ASK = 50;
const KEEP = 3_000;
/** Milliseconds in which a person is told once that a node takes nothing. */
const TELL_EVERY = 3_600_000;

/** One batch of jobs, told apart. */
export interface Batch {
  /** Served here already. */
  served: CertificateRecord[];
  puts: { job: DeployJob; record: CertificateRecord }[];
  removals: { job: DeployJob; record: CertificateRecord | undefined }[];
}

/** Brings certificates to one node of one termination, a batch at a time, while no other node of it is changed. */
export class NodeDeployment {
  readonly #deps: DeployDeps;
  readonly #rollouts: Rollouts;
  readonly #node: NodeConfig;
  readonly #target: Target;
  readonly #who: string;
  #failures = 0;
  #restUntil = 0;

  constructor(deps: DeployDeps, rollouts: Rollouts, node: NodeConfig, target: Target) {
    this.#deps = deps;
    this.#rollouts = rollouts;
    this.#node = node;
    this.#target = target;
    this.#who = `${node.name}:${deps.processName}:${randomUUID()}`;
  }

  /** One outcome for each job. What is about the node holds its queue, so that nothing is tried in vain. */
  async run(jobs: readonly DeployJob[]): Promise<NodeOutcome[]> {
    const { clock } = this.#deps;
    const rest = this.#restUntil - clock.now();
    if (rest > 0) return jobs.map(() => ({ kind: "hold", ms: rest }));
    const outcomes = new Map<DeployJob, NodeOutcome>();
    let batch: Batch = { served: [], puts: [], removals: [] };
    try {
      await this.#inTurn(async () => {
        // Within the turn: another node may have refused one of them while this one was waiting.
        batch = await this.#sorted(jobs);
        // Whoever noted that may have died before it was moved on.
        await this.#rollouts.advance(batch.served);
        await this.#remove(batch.removals, outcomes);
        await putBatch(this.#deps, this.#rollouts, this.#node, this.#target, batch.puts, outcomes);
      });
      if (batch.puts.length + batch.removals.length > 0) await this.#mended();
    } catch (thrown) {
      const hold = await this.#failed(thrown, batch);
      return jobs.map((job) => outcomes.get(job) ?? hold);
    }
    return jobs.map((job) => outcomes.get(job) ?? DONE);
  }

  /** Jobs that have been overtaken are in neither part: they are done. */
  async #sorted(jobs: readonly DeployJob[]): Promise<Batch> {
    const records = await this.#deps.certificates.getMany(jobs.map(({ id }) => id));
    const batch: Batch = { served: [], puts: [], removals: [] };
    for (const [index, job] of jobs.entries()) {
      const record = records[index];
      const here = record !== undefined && record.spec.vipPort === this.#node.vipPort;
      const gone = !record || record.status === "removed";
      if (job.serial === undefined) {
        if (gone || !here) batch.removals.push({ job, record });
      } else if (record && here && !gone && this.#isWanted(record, job.serial)) {
        if (isUpToDate(record.nodes?.[this.#node.name], job.serial, this.#node.vipPort))
          batch.served.push(record);
        else batch.puts.push({ job, record });
      }
    }
    return batch;
  }

  #isWanted(record: CertificateRecord, serial: string): boolean {
    if (record.status === "paused" || record.leaf?.serial !== serial) return false;
    return refusedBy(this.#deps.terminations.get(this.#node.vipPort) ?? [], record) === undefined;
  }

  async #remove(removals: Batch["removals"], outcomes: Map<DeployJob, NodeOutcome>): Promise<void> {
    if (removals.length === 0) return;
    const failures = await this.#target.remove(
      removals.map(({ job, record }) => ({
        id: job.id,
        names: record?.spec.names ?? [firstNameOf(job.id)],
      })),
    );
    for (const { job, record } of removals) {
      const failure = failures.get(job.id);
      if (failure) outcomes.set(job, this.#removedLater(job, failure));
      else if (record) await finishRemoval(this.#deps, record, this.#node);
    }
  }

  /** It is kept on being tried, as nobody else would take it away. */
  #removedLater(job: DeployJob, failure: AppError): NodeOutcome {
    const { retry, clock, log } = this.#deps;
    const tries = job.tries ?? 0;
    const delay = retry[Math.min(tries, retry.length - 1)] ?? 0;
    log(`${firstNameOf(job.id)} could not be taken away from ${this.#node.name}: ${failure.message}`);
    return { kind: "later", at: clock.now() + delay, data: { ...job, tries: tries + 1 } };
  }

  /** Every node of a termination asks for the same turn. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    const { turns } = this.#deps;
    const what = `termination-${this.#node.vipPort}`;
    while (!(await turns.take(what, this.#who))) await sleep(ASK);
    const keeping = setInterval(() => void turns.take(what, this.#who).catch(() => false), KEEP);
    try {
      await work();
    } finally {
      clearInterval(keeping);
      await turns.give(what, this.#who);
    }
  }

  async #mended(): Promise<void> {
    this.#failures = 0;
    const { name } = this.#node;
    if (await this.#deps.nodes.mended(this.#node)) this.#deps.log(`${name} takes certificates again.`);
  }

  /** The node as a whole: it is left alone for a while, and the others go on without it. */
  async #failed(thrown: unknown, { puts }: Batch): Promise<NodeOutcome> {
    const { clock, nodes, log, warn } = this.#deps;
    const { name } = this.#node;
    const error = asAppError(thrown);
    const ms = REST[Math.min(this.#failures++, REST.length - 1)] ?? 0;
    this.#restUntil = clock.now() + ms;
    if (await nodes.fault(this.#node, error.message, clock.now())) {
      log(`${name}: ${error.disposition === "internal" ? error.stack : error.message}`);
      const [first] = puts;
      const detail = `${error.message}\n\nIts certificates wait for it, and are brought to it as soon as it can take them.`;
      if (first && (await nodes.onceIn(`fault:${placeKey(this.#node)}`, TELL_EVERY)))
        await warn(first.record, `${name} cannot be given certificates`, detail);
      await this.#rollouts.advanceAll();
    } else await this.#rollouts.advance(await this.#deps.certificates.present(puts.map(({ job }) => job.id)));
    return { kind: "hold", ms };
  }
}
