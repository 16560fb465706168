import type { NodeConfig } from "../config/terminations.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import type { AppError } from "../core/errors.ts";
import { readable } from "../store/settlement.ts";
import type { Rollouts } from "./advance.ts";
import { look } from "./look.ts";
import type { DeployDeps } from "./ports.ts";
import type { Bundle } from "./target.ts";
import type { Verdict } from "./verify.ts";

/** Milliseconds in which a person is told once of what one node serves wrongly. */
const TELL_EVERY = 3_600_000;
/** Names in a mail about drift. */
const SHOWN = 20;
/** Certificates read for one slice, whatever port they are for. */
const PAGE = 500;

interface Drifted {
  record: CertificateRecord;
  verdict: Extract<Verdict, { kind: "wrong" }>;
}

/**
 * Looks again at what one node serves, a slice at each turn and round again: somebody may have changed it by hand, or
 * put back a backup. What is served wrongly is told, and brought there again.
 */
export class NodeWatch {
  readonly #deps: DeployDeps;
  readonly #rollouts: Rollouts;
  readonly #node: NodeConfig;

  constructor(deps: DeployDeps, rollouts: Rollouts, node: NodeConfig) {
    this.#deps = deps;
    this.#rollouts = rollouts;
    this.#node = node;
  }

  /** `share`: the part of all certificates that is due in one turn, 0 to 1. */
  async turn(share: number): Promise<void> {
    const { certificates, nodes } = this.#deps;
    const { vipPort } = this.#node;
    if ((await nodes.faults([this.#node])).size > 0) return;
    let due = Math.ceil((await certificates.count("serving")) * share);
    while (due > 0) {
      const cursor = await nodes.watchedTo(this.#node);
      const limit = Math.min(due, PAGE);
      const page = await certificates.page({
        status: "serving",
        limit,
        ...(cursor === "" ? {} : { cursor }),
      });
      await this.#look(page.filter(({ spec }) => spec.vipPort === vipPort));
      await nodes.setWatchedTo(this.#node, page.length < limit ? "" : (page.at(-1)?.id ?? ""));
      if (page.length < limit) return;
      due -= limit;
    }
  }

  async #look(records: readonly CertificateRecord[]): Promise<void> {
    const bundles = await this.#bundles(records);
    // One look; only what seems wrong is given time to be right, as a reload may be going on.
    const first = await look(this.#deps.certificates, this.#node, bundles, { within: 0 });
    const doubtful = bundles.filter(({ id }) => first.get(id)?.kind !== "served");
    const second = await look(this.#deps.certificates, this.#node, doubtful, {
      within: this.#node.verifyWithin,
    });
    const verdicts = new Map([...first, ...second]);
    const drifted: Drifted[] = [];
    let down: { record: CertificateRecord; error: AppError } | undefined;
    for (const record of records) {
      const verdict = verdicts.get(record.id);
      if (verdict?.kind === "wrong") drifted.push({ record, verdict });
      if (verdict?.kind === "unreachable") down ??= { record, error: verdict.error };
    }
    // Where it answers under other names, it is not the node that is down.
    const answers = [...verdicts.values()].some(({ kind }) => kind !== "unreachable");
    if (down && !answers) return await this.#down(down.record, down.error);
    await this.#heal(await this.#stillServed(drifted));
  }

  /** Looking takes its time: what was renewed, paused or removed meanwhile is nothing to be healed. */
  async #stillServed(drifted: readonly Drifted[]): Promise<Drifted[]> {
    const now = await this.#deps.certificates.getMany(drifted.map(({ record }) => record.id));
    return drifted.filter(({ record }, index) => {
      const present = now[index];
      return present?.status === "serving" && present.leaf?.serial === record.leaf?.serial;
    });
  }

  async #bundles(records: readonly CertificateRecord[]): Promise<Bundle[]> {
    const bundles: Bundle[] = [];
    for (const { id, leaf } of records) {
      const bundle = await readable(this.#deps.files.bundle(id));
      if (bundle !== undefined && bundle.serial === leaf?.serial) bundles.push(bundle);
    }
    return bundles;
  }

  /** Its certificates are not known to be wrong: it is told once, and looked at again as soon as it answers. */
  async #down(record: CertificateRecord, error: AppError): Promise<void> {
    const { nodes, clock, log, warn } = this.#deps;
    const { name } = this.#node;
    if (!(await nodes.onceIn(`down:${name}`, TELL_EVERY))) return;
    log(`${name}: ${error.message}`);
    await warn(
      record,
      `${name} cannot be reached`,
      `${error.message} (${new Date(clock.now()).toUTCString()})`,
    );
  }

  async #heal(drifted: readonly Drifted[]): Promise<void> {
    const [first] = drifted;
    if (!first) return;
    const { certificates, nodes, clock, log, warn } = this.#deps;
    const { name, vipPort } = this.#node;
    const at = clock.now();
    await certificates.noteNodes(
      drifted.map(({ record: { id }, verdict }) => ({
        id,
        node: name,
        state: { ok: false, serial: verdict.serial, at, vipPort },
        event: { what: "drift", detail: `${name}: ${verdict.detail}` },
      })),
      at,
    );
    await nodes.drifted(drifted.length);
    log(`${name} serves ${drifted.length} certificates wrongly; they are brought there again.`);
    await this.#rollouts.advance(await certificates.present(drifted.map(({ record }) => record.id)));
    if (!(await nodes.onceIn(`drift:${name}`, TELL_EVERY))) return;
    const lines = drifted
      .slice(0, SHOWN)
      .map(({ record, verdict }) => `${record.spec.names[0]}: ${verdict.detail}`);
    const more = drifted.length > SHOWN ? [`… and ${drifted.length - SHOWN} more`] : [];
    await warn(
      first.record,
      `${name} served something else`,
      [
        "Somebody or something has changed what this node serves; the certificates are brought there again.",
        "",
        ...lines,
        ...more,
      ].join("\n"),
    );
  }
}
