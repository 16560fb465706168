import { allPlaces, isConfigured, type NodeConfig } from "../config/terminations.ts";
import { type CertificateRecord, type IssuedLeaf, isIssued, isObtained } from "../core/certificate.ts";
import { chunked } from "../core/chunked.ts";
import { AppError, storedError } from "../core/errors.ts";
import type { DeployJob } from "../queue/names.ts";
import type { Transition } from "../store/certificates.ts";
import { type Place, placeKey } from "../store/nodes.ts";
import { settle } from "../store/settlement.ts";
import type { DeployDeps } from "./ports.ts";
import { nextStep, type Owed, type Step, strays, whatNodesServe } from "./rollout.ts";

type NodeJob = DeployJob & { node: string; priority: number };

/** Certificates read and moved on in one go. */
const CHUNK = 500;
/** Milliseconds in which a process that deploys may be started again before its nodes are gone past. */
const RESTARTING = 15_000;
/** Files written at once. */
const AT_ONCE = 16;

/**
 * Moves certificates on in their roll-out, from what is known of their nodes: the one place that decides where each
 * goes next. Called when a leaf is there, when a node is done, when somebody tries again, and by the sweep; repeating it
 * changes nothing.
 */
export class Rollouts {
  readonly #deps: DeployDeps;

  constructor(deps: DeployDeps) {
    this.#deps = deps;
  }

  /** Whether certificates for that port are deployed at all. */
  deploys(vipPort: number): boolean {
    return this.#deps.terminations.has(vipPort);
  }

  async advance(records: readonly CertificateRecord[]): Promise<void> {
    const unavailable = await this.#unavailable();
    const steps = records
      .filter(({ leaf, status }) => leaf && status !== "paused" && status !== "removed")
      .map((record) => {
        const nodes = this.#deps.terminations.get(record.spec.vipPort) ?? [];
        const { vipPort } = record.spec;
        return { record, nodes, step: nextStep(nodes, record, (name) => unavailable({ name, vipPort })) };
      });
    // The jobs go first: a process that dies then leaves a status that the sweep finds, never a leaf without a job.
    await this.#deps.producer.deploy(
      steps.flatMap(({ record, nodes, step }) => this.#jobs(record, nodes, step)),
    );
    for (let from = 0; from < steps.length; from += AT_ONCE)
      await Promise.all(
        steps.slice(from, from + AT_ONCE).map(({ record, nodes, step }) => this.#settle(record, nodes, step)),
      );
  }

  /** The same for what a person wants to be tried again: now, and not when its next try was planned. */
  async retry(records: readonly CertificateRecord[]): Promise<void> {
    const putOff = records.flatMap(({ id, leaf, nodes }) =>
      Object.entries(nodes ?? {}).flatMap(([node, { owed, vipPort }]) =>
        owed !== undefined && leaf ? [{ node, id, serial: leaf.serial, vipPort }] : [],
      ),
    );
    await this.#deps.producer.hurryDeploys(putOff);
    await this.advance(records);
  }

  /** The same for all that are being deployed: a node has gone away, say. */
  async advanceAll(): Promise<void> {
    for await (const chunk of chunked(this.#deps.certificates.all("deploying"), CHUNK))
      await this.advance(chunk);
  }

  /** A target would not take it now: it is given it again at `at`, milliseconds since the epoch. */
  async wait({ id }: CertificateRecord, node: string, error: AppError, at: number): Promise<void> {
    const record = await this.#deps.certificates.get(id);
    if (!record || !isOurs(record)) return;
    const detail = `${node}: ${error.message}`;
    const change: Transition = {
      status: "waiting",
      reason: "node",
      detail,
      until: at,
      error: storedError(error),
      event: { what: "failed", detail },
    };
    await settle(this.#deps, record, change);
  }

  /** A node did not serve it, or its target has refused it: the roll-out of this certificate ends there. */
  async stop({ id }: CertificateRecord, error: AppError): Promise<void> {
    const record = await this.#deps.certificates.get(id);
    if (!record || !isOurs(record)) return;
    const change: Transition = {
      status: "attention",
      reason: "node",
      detail: `${error.message} ${whatNodesServe(record.nodes)}`.trim(),
      error: storedError(error),
      event: { what: "not served", detail: error.message },
    };
    if (!(await settle(this.#deps, record, change))) return;
    this.#deps.tell(`Failed to deploy certificate for ${record.spec.names[0]}. (${error.message})`);
  }

  async #unavailable(): Promise<(place: Place) => string | undefined> {
    const { nodes, terminations, clock } = this.#deps;
    const [served, faults] = await Promise.all([
      nodes.served(clock.now(), RESTARTING),
      nodes.faults(allPlaces(terminations)),
    ]);
    return (place) =>
      faults.get(placeKey(place))?.detail ??
      (served.has(place.name)
        ? undefined
        : `Nothing that deploys to ${place.name} runs now; start certherd there.`);
  }

  #jobs(record: CertificateRecord, nodes: readonly NodeConfig[], step: Step): NodeJob[] {
    const { id, generation, spec, leaf } = record;
    const { priority, vipPort } = spec;
    const next = step.kind === "go" ? [step.node] : [];
    const owed = step.kind === "go" || step.kind === "waiting" ? step.owed.map(({ node }) => node) : [];
    // What is served where it was before goes on being served until it is where it belongs now.
    const old = step.kind === "served" ? strays(record, nodes) : [];
    return [
      ...[...owed, ...next].map((node) => ({
        node,
        priority,
        id,
        generation,
        vipPort,
        serial: leaf?.serial ?? "",
      })),
      ...old
        .filter((stray) => isConfigured(this.#deps.terminations, stray))
        .map((stray) => ({ ...stray, priority, id, generation })),
    ];
  }

  async #settle(record: CertificateRecord, nodes: readonly NodeConfig[], step: Step): Promise<void> {
    // Its next leaf is on its way, which the status tells of.
    if (!isOurs(record)) return;
    if (nodes.length === 0) {
      if (record.status === "deploying") await settle(this.#deps, record, { status: "issued" });
      return;
    }
    switch (step.kind) {
      case "stopped":
        return await this.#stopped(record, step.node);
      case "served":
        return await this.#serving(record);
      case "waiting":
        return await this.#waiting(record, step.owed);
      case "go":
        return await this.#deploying(record);
    }
  }

  /** Whoever noted that died before it was told, or somebody has moved the certificate on since. */
  async #stopped(record: CertificateRecord, node: string): Promise<void> {
    if (record.status === "attention") return;
    const why = record.nodes?.[node]?.owed ?? `${node} did not serve it.`;
    await this.stop(record, new AppError(why, { code: "not_served", disposition: "node" }));
  }

  /** Its next try stands in the queue. */
  #isResting({ status, until = 0 }: CertificateRecord): boolean {
    return status === "waiting" && until > this.#deps.clock.now();
  }

  async #deploying(record: CertificateRecord): Promise<void> {
    if (record.status === "deploying" || this.#isResting(record)) return;
    const { id, generation, leaf } = record;
    await this.#deps.certificates.transition(
      id,
      generation,
      {
        status: "deploying",
        ...(leaf ? { leaf: ofGeneration(leaf, generation) } : {}),
        event: { what: "deploying" },
      },
      this.#deps.clock.now(),
    );
  }

  async #serving(record: CertificateRecord): Promise<void> {
    const { served, leaf, spec } = record;
    if (record.status === "serving" && served === leaf?.serial) return;
    const first = served !== leaf?.serial;
    const change: Transition = {
      status: "serving",
      attempts: 0,
      event: { what: "serving", detail: `serial ${leaf?.serial} on every node` },
      ...(leaf ? { served: leaf.serial } : {}),
    };
    // What was served before, and is again, is no news.
    const deps = first
      ? this.#deps
      : { ...this.#deps, listener: { ...SILENT, importEnded: this.#importEnded } };
    if ((await settle(deps, record, change)) && first)
      this.#deps.tell(`Successfully issued and uploaded new cert ${spec.names[0]}, finished`);
  }

  async #waiting(record: CertificateRecord, owed: readonly Owed[]): Promise<void> {
    if (record.status === "serving") return;
    const detail = owed.map(({ node, why }) => `${node} waits for it: ${why}`).join(" ");
    if (record.status === "waiting" && record.detail === detail) return;
    // Issued before there was a termination: its leaf is what is waited for, and is not to be ordered again.
    if (record.status === "issued") await this.#deploying(record);
    const { leaf, generation } = record;
    const change: Transition = {
      status: "waiting",
      reason: "node",
      detail,
      ...(leaf ? { leaf: ofGeneration(leaf, generation) } : {}),
      event: { what: "waiting", detail },
    };
    await settle(this.#deps, record, change);
  }

  readonly #importEnded = (importId: string): Promise<void> => this.#deps.listener.importEnded(importId);
}

/** A leaf of an earlier version does not tell what it was obtained for. */
function ofGeneration(leaf: IssuedLeaf, generation: number): IssuedLeaf {
  return { ...leaf, generation };
}

const SILENT = { settled: () => Promise.resolve() };

/** Whether its status is about its deployment. */
function isOurs(record: CertificateRecord): boolean {
  const { status } = record;
  return (isIssued(record) || isObtained(record)) && status !== "paused" && status !== "removed";
}
