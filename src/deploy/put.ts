import type { NodeConfig } from "../config/terminations.ts";
import type { CertificateRecord, NodeState } from "../core/certificate.ts";
import { AppError } from "../core/errors.ts";
import { DONE } from "../queue/consumer.ts";
import type { DeployJob } from "../queue/names.ts";
import type { Rollouts } from "./advance.ts";
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
  const bundles = await read(puts, (id) => deps.files.bundle(id));
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

  // What is newer here has a job of its own.
  for (const put of puts)
    if (!bundles.has(put.job.id)) await stop(deps, rollouts, node, put, filesMissing(put));
  for (const put of present) {
    const error = failures.get(put.job.id);
    if (error) await refused(deps, rollouts, node, put, error, outcomes);
  }
  const wrong = present.flatMap((put) => {
    const verdict = verdicts.get(put.job.id);
    return verdict?.kind === "wrong" ? [{ ...put, verdict }] : [];
  });
  await takeBack(deps, rollouts, node, target, wrong);
  for (const verdict of verdicts.values()) if (verdict.kind === "unreachable") throw verdict.error;
}

async function read(
  puts: readonly { record: CertificateRecord }[],
  get: (id: string) => Promise<Bundle | undefined>,
): Promise<Map<string, Bundle>> {
  const found = new Map<string, Bundle>();
  for (let from = 0; from < puts.length; from += READS)
    await Promise.all(
      puts.slice(from, from + READS).map(async ({ record: { id } }) => {
        const bundle = await get(id);
        if (bundle) found.set(id, bundle);
      }),
    );
  return found;
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

/** Its certificate before is put back, or none where there was none, and it is seen what the node serves then. */
async function takeBack(
  deps: DeployDeps,
  rollouts: Rollouts,
  node: NodeConfig,
  target: Target,
  wrong: readonly (Put & { verdict: Extract<Verdict, { kind: "wrong" }> })[],
): Promise<void> {
  if (wrong.length === 0) return;
  const before = await read(wrong, (id) => deps.files.previousBundle(id));
  const none = wrong.filter(({ job }) => !before.has(job.id)).map(({ record }) => record);
  if (before.size > 0) await target.put([...before.values()]);
  if (none.length > 0) await target.remove(none.map(({ id, spec: { names } }) => ({ id, names })));
  const verdicts = await look(deps.certificates, node, [...before.values()], { within: node.verifyWithin });
  for (const { verdict, ...put } of wrong) {
    const after = verdicts.get(put.job.id);
    const back =
      after?.kind === "served" ? "has got back the certificate before it" : "has been given it back";
    const what = before.has(put.job.id)
      ? `${node.name} ${back}.`
      : `It was taken away from ${node.name} again.`;
    const serial = after?.kind === "served" ? (before.get(put.job.id)?.serial ?? "") : verdict.serial;
    const error = new AppError(
      `${node.name} does not serve the new certificate, serial ${put.job.serial}, under ${verdict.name}: ${verdict.detail} ${what} When that is mended: certherd retry`,
      { code: "not_served", disposition: "node", identifier: verdict.name },
    );
    await stop(deps, rollouts, node, put, error, { serial });
  }
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
