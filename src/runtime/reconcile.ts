import { isConfigured, nodeNames } from "../config/terminations.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import { placesServed } from "../deploy/places.ts";
import { beginRemoval } from "../deploy/removal.ts";
import { everywhere, nextStep } from "../deploy/rollout.ts";
import { openTarget } from "../deploy/targets/open.ts";
import { addMissingJobs } from "../intake/jobs.ts";
import { isNewer, restoreNewer } from "../intake/newest.ts";
import { abandonedImports, replayImport, restoreMissing, toRecord, withPlans } from "../intake/restore.ts";
import type { Deployment, Intake, ReconcileDeps } from "../reconcile/ports.ts";
import { reconcile } from "../reconcile/reconcile.ts";
import type { Report } from "../reconcile/report.ts";
import { portsOf } from "./deploy.ts";
import type { House } from "./house.ts";
import { ledgerOf } from "./pausing.ts";
import { alone, isLost, markRestored } from "./upkeep.ts";

/**
 * Files, index, queues and nodes, each compared with the others: the thorough form of what every start does in short
 * (`restore`). One process at a time; another one waits for it.
 */
export async function reconcileHouse(house: House, report: Report, waiting: () => void): Promise<void> {
  let told = false;
  const waits = async (): Promise<boolean> => {
    if (!told) waiting();
    told = true;
    return true;
  };
  await alone(house, waits, async () => {
    const lost = await isLost(house);
    await reconcile(depsOf(house, report, lost));
    if (lost && !report.dryRun) await markRestored(house);
  });
}

function depsOf(house: House, report: Report, lost: boolean): ReconcileDeps {
  const { config, redis, clock, certificates, certificateFiles, removals, shared } = house;
  const { imports, importFiles, producer, restoreDeps } = house;
  const [first, ...others] = config.cas;
  return {
    redis,
    clock,
    report,
    certificates,
    files: certificateFiles,
    removals,
    imports,
    importFiles,
    producer,
    intake: intakeOf(house),
    deployment: deploymentOf(house),
    accounts: [first.name, ...others.map(({ name }) => name)],
    nodes: nodeNames(config.terminations),
    release: (account, holder) => ledgerOf(house, account).release(holder),
    ...(lost ? { ledgers: restoreDeps.ledgers() } : {}),
    ...(shared === undefined ? {} : { shared: shared.certificates }),
  };
}

function intakeOf({ restoreDeps, removals, notifier }: House): Intake {
  return {
    toRecord,
    isNewer,
    restoreMissing: async (missing) => restoreMissing(restoreDeps, await withPlans(restoreDeps, missing)),
    restoreNewer: async (records, known) =>
      restoreNewer(restoreDeps, await withPlans(restoreDeps, records), known),
    addMissingJobs: (records) => addMissingJobs(restoreDeps, records),
    replay: async (importId, only) => replayImport(restoreDeps, importId, await removals.load(), only),
    abandoned: () => abandonedImports(restoreDeps),
    importEnded: (importId) => notifier.importEnded(importId),
  };
}

function deploymentOf(house: House): Deployment {
  const { terminations } = house.config;
  return {
    next: (record) => nextOf(house, record),
    advance: (records) => house.rollouts.advance(records),
    takeAway: (record) => beginRemoval(house.deployDeps, record),
    goneFrom: ({ nodes }) =>
      everywhere(nodes)
        .filter((place) => !isConfigured(terminations, place))
        .map(({ node, vipPort }) => `${node}:${vipPort}`),
    present: () => present(house),
  };
}

function nextOf({ config }: House, record: CertificateRecord): { node?: string } | undefined {
  const { leaf, status, spec } = record;
  if (leaf === undefined || status === "paused" || status === "removed") return undefined;
  const step = nextStep(config.terminations.get(spec.vipPort) ?? [], record, () => undefined);
  if (step.kind === "go") return { node: step.node };
  return step.kind === "served" && status === "deploying" ? {} : undefined;
}

function* present(house: House): Generator<{ place: string; stems: AsyncIterable<string> }> {
  for (const place of [...placesServed(house.config.terminations, house.config).values()].flat()) {
    const target = openTarget(place, portsOf(house, place));
    const stems = target.present?.();
    if (stems) yield { place: `${place.name}:${place.vipPort}`, stems };
  }
}
