import { X509Certificate } from "node:crypto";
import type { NodeConfig } from "../config/terminations.ts";
import type { CertificateRecord, NodeState } from "../core/certificate.ts";
import { AppError, asAppError } from "../core/errors.ts";
import { DONE } from "../queue/consumer.ts";
import type { DeployJob } from "../queue/names.ts";
import { isDamaged } from "../store/vault.ts";
import type { Rollouts } from "./advance.ts";
import { takeBack } from "./back.ts";
import { look } from "./look.ts";
import type { NodeOutcome } from "./node.ts";
import type { DeployDeps } from "./ports.ts";
import type { Bundle, Target } from "./target.ts";
import type { Verdict } from "./verify.ts";

interface Put {
  job: DeployJob;
  record: CertificateRecord;
}

/** Bundles read from the store at once. */
const READS = 16;

/**
 * Gives a batch to the target, looks on the wire whether each is served, gives back what was there before where it is
 * not, and moves the certificates on. Throws where it is about the node, with the outcomes of those that were done.
 */
export async function putBatch(
  deps: DeployDeps,
  rollouts: Rollouts,
  node: NodeConfig,
  target: Target,
  puts: readonly Put[],
  outcomes: Map<DeployJob, NodeOutcome>,
): Promise<void> {
  if (puts.length === 0) return;
  const { bundles, faults } = await read(puts, (id) => deps.files.bundle(id));
  const present = puts.filter(({ job }) => bundles.get(job.id)?.serial === job.serial);
  const wanted = present.flatMap(({ job }) => bundles.get(job.id) ?? []);
  const failures = wanted.length > 0 ? await target.put(wanted) : new Map<string, AppError>();
  const given = wanted.filter(({ id }) => !failures.has(id));
  const verdicts = await look(deps.certificates, node, given, { within: node.verifyWithin });
  const served = present.filter(({ job }) => verdicts.get(job.id)?.kind === "served");
  await noteServed(deps, node, served);
  // Whatever becomes of the rest of the batch, these are not done again.
  for (const { job } of served) outcomes.set(job, DONE);
  await rollouts.advance(await deps.certificates.present(served.map(({ job }) => job.id)));

  for (const put of puts)
    if (isMissing(put, bundles.get(put.job.id)))
      await stop(deps, rollouts, node, put, faults.get(put.job.id) ?? filesMissing(put));
  for (const put of present) {
    const error = failures.get(put.job.id) ?? brokenOff(verdicts.get(put.job.id), served.length > 0);
    if (error) await refused(deps, rollouts, node, put, error, outcomes);
  }
  await stopWrong(deps, rollouts, node, target, present, verdicts);
  if (served.length === 0)
    for (const verdict of verdicts.values()) if (verdict.kind === "unreachable") throw verdict.error;
}

/** No files, or those of an earlier leaf, as after a restored backup; what is newer here has a job of its own. */
function isMissing({ record, job }: Put, bundle: Bundle | undefined): boolean {
  if (!bundle || bundle.serial === job.serial) return !bundle;
  const begins = Date.parse(new X509Certificate(bundle.leafPem).validFrom);
  return begins < (record.leaf?.notBefore ?? 0);
}

/** Where the node answers under other names, it is about this one alone. */
function brokenOff(verdict: Verdict | undefined, othersAreServed: boolean): AppError | undefined {
  if (verdict?.kind !== "unreachable" || !othersAreServed) return undefined;
  return new AppError(verdict.error.message, { code: verdict.error.code, disposition: "retry" });
}

async function stopWrong(
  deps: DeployDeps,
  rollouts: Rollouts,
  node: NodeConfig,
  target: Target,
  puts: readonly Put[],
  verdicts: ReadonlyMap<string, Verdict>,
): Promise<void> {
  const wrong = puts.flatMap((put) => {
    const verdict = verdicts.get(put.job.id);
    return verdict?.kind === "wrong" ? [{ ...put, serial: put.job.serial ?? "", verdict }] : [];
  });
  const previous = await read(wrong, (id) => deps.files.previousBundle(id));
  const backs = await takeBack(deps, node, target, wrong, previous.bundles);
  for (const [index, put] of wrong.entries()) {
    const back = backs[index];
    if (back) await stop(deps, rollouts, node, put, back.error, { serial: back.serial });
  }
}

async function read(
  puts: readonly { record: CertificateRecord }[],
  get: (id: string) => Promise<Bundle | undefined>,
): Promise<{ bundles: Map<string, Bundle>; faults: Map<string, AppError> }> {
  const bundles = new Map<string, Bundle>();
  const faults = new Map<string, AppError>();
  const readOne = async (id: string): Promise<void> => {
    try {
      const bundle = await get(id);
      if (bundle) bundles.set(id, bundle);
    } catch (error) {
      // Of this one alone.
      if (!isDamaged(error)) throw error;
      faults.set(id, asAppError(error));
    }
  };
  for (let from = 0; from < puts.length; from += READS)
    await Promise.all(puts.slice(from, from + READS).map(({ record: { id } }) => readOne(id)));
  return { bundles, faults };
}

async function noteServed(deps: DeployDeps, node: NodeConfig, puts: readonly Put[]): Promise<void> {
  const at = deps.clock.now();
  await deps.certificates.noteNodes(
    puts.map(({ record: { id }, job: { serial = "" } }) => ({
      id,
      node: node.name,
      state: { ok: true, serial, at, vipPort: node.vipPort },
      event: { what: "served", detail: `${node.name} serves ${serial}` },
    })),
    at,
  );
}

/** What a target would not take. It may pass, or it is a person's to mend. */
async function refused(
  deps: DeployDeps,
  rollouts: Rollouts,
  node: NodeConfig,
  put: Put,
  error: AppError,
  outcomes: Map<DeployJob, NodeOutcome>,
): Promise<void> {
  const tries = put.job.tries ?? 0;
  const delay = deps.retry[tries];
  if (error.disposition !== "retry" || delay === undefined)
    return await stop(deps, rollouts, node, put, error);
  const at = deps.clock.now() + delay;
  outcomes.set(put.job, { kind: "later", at, data: { ...put.job, tries: tries + 1 } });
  await note(deps, node, put, { ok: false, owed: error.message });
  await rollouts.wait(put.record, node.name, error, at);
}

async function stop(
  deps: DeployDeps,
  rollouts: Rollouts,
  node: NodeConfig,
  put: Put,
  error: AppError,
  seen: Partial<NodeState> = {},
): Promise<void> {
  const { serial = "" } = put.job;
  // Why stands there too, as this may be all that is left of it.
  await note(deps, node, put, { ok: false, refused: serial, owed: error.message, ...seen });
  await rollouts.stop(put.record, error);
}

async function note(
  deps: DeployDeps,
  node: NodeConfig,
  { record }: Put,
  state: Omit<NodeState, "at" | "vipPort">,
  event?: { what: string; detail: string },
): Promise<void> {
  const at = deps.clock.now();
  const before = record.nodes?.[node.name]?.serial;
  const whole: NodeState = {
    ...(before === undefined ? {} : { serial: before }),
    ...state,
    at,
    vipPort: node.vipPort,
  };
  await deps.certificates.noteNodes(
    [{ id: record.id, node: node.name, state: whole, ...(event ? { event } : {}) }],
    at,
  );
}

function filesMissing({ record, job }: Put): AppError {
  const [name] = record.spec.names;
  return new AppError(
    `The files of ${name}, serial ${job.serial}, are not on this host. Where several hosts share one Redis, all of them need the same CERTHERD_STORE_KEY; else: certherd renew ${name}`,
    { code: "files_missing", disposition: "node" },
  );
}
