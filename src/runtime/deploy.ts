import type { NodeConfig } from "../config/terminations.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import { chunked } from "../core/chunked.ts";
import { NodeDeployment, type NodeOutcome } from "../deploy/node.ts";
import { placesServed } from "../deploy/places.ts";
import { isUpToDate } from "../deploy/rollout.ts";
import type { Pace, Target } from "../deploy/target.ts";
import { openTarget } from "../deploy/targets/open.ts";
import { NodeWatch } from "../deploy/watch.ts";
import { Batcher } from "../queue/batcher.ts";
import { consume, DONE } from "../queue/consumer.ts";
import { type DeployJob, queueNames } from "../queue/names.ts";
import type { House } from "./house.ts";
import { every, type Service, together } from "./service.ts";

/** Milliseconds between two slices of the watch. */
const WATCH_TICK = 10_000;
/** Jobs of a node in hand at once, over all its terminations. */
const MOST_IN_HAND = 2_000;
/** Certificates moved on in one go. */
const CHUNK = 500;

/** Deploys to every node that this process can reach. */
export async function startDeploy(house: House): Promise<Service> {
  const { config, nodes } = house;
  const served = placesServed(config.terminations, config);
  const services = [...served].map(([name, places]) => startNode(house, name, places));
  const stopServing = await nodes.serve([...served.keys()]);
  await catchUp(house, [...served.values()].flat());
  return together([...services, { close: stopServing }]);
}

function startNode(house: House, name: string, places: readonly NodeConfig[]): Service {
  const targets = places.map((place) => ({ place, target: openTarget(place, portsOf(house, place)) }));
  const batchers = new Map(
    targets.map(({ place, target }) => [place.vipPort, batcherOf(house, place, target)] as const),
  );
  const inHand = targets.reduce((sum, { target }) => sum + target.batch, 0);
  const consumer = consume<DeployJob>({
    queue: queueNames.deploy(name),
    redis: house.redis,
    concurrency: Math.min(inHand, MOST_IN_HAND),
    holdable: true,
    // A termination that is configured no more wants nothing.
    handle: async (job) => {
      const outcome = (await batchers.get(job.vipPort)?.add(job)) ?? DONE;
      // The other terminations of this node go on.
      if (outcome.kind !== "hold" || places.length === 1) return outcome;
      return { kind: "later", at: house.clock.now() + outcome.ms };
    },
    onFault: (error, { id }) => house.log(`${id}: ${error.stack ?? error.message}`),
  });
  const watches = places.map((place) => startWatch(house, place));
  return {
    close: async () => {
      await Promise.all([
        ...watches.map((watch) => watch.close()),
        ...[...batchers.values()].map((batcher) => batcher.stop()),
        consumer.close(),
      ]);
      await Promise.all(targets.map(({ target }) => target.close()));
    },
  };
}

function batcherOf(house: House, place: NodeConfig, target: Target): Batcher<DeployJob, NodeOutcome> {
  const deployment = new NodeDeployment(house.deployDeps, house.rollouts, place, target);
  return new Batcher<DeployJob, NodeOutcome>({
    run: (jobs) => deployment.run(jobs),
    most: target.batch,
    gather: target.gather,
    rest: () => target.rest(),
    stopped: { kind: "later", at: house.clock.now() },
  });
}

function startWatch(house: House, place: NodeConfig): Service {
  const watch = new NodeWatch(house.deployDeps, house.rollouts, place);
  const tick = Math.min(WATCH_TICK, house.config.watchEvery);
  return every(tick, house, () => watch.turn(tick / house.config.watchEvery));
}

/** What a target needs of the house. */
export function portsOf(
  { nodes, clock, certificateFiles }: House,
  { name }: Pick<NodeConfig, "name">,
): Parameters<typeof openTarget>[1] {
  const pace: Pace = {
    rest: async (ms) => Math.max(0, (await nodes.reloadedAt(name)) + ms - clock.now()),
    reloading: () => nodes.reloading(name, clock.now()),
  };
  return { pace, clock, paths: (id) => certificateFiles.paths(id) };
}

/**
 * Moves on every certificate that has not been seen on one of these nodes: the node may be new, or have been away, or
 * Redis may have lost its queue. One pass over the index at each start.
 */
async function catchUp({ certificates, rollouts }: House, places: readonly NodeConfig[]): Promise<void> {
  if (places.length === 0) return;
  for await (const chunk of chunked(certificates.all(), CHUNK))
    await rollouts.advance(chunk.filter((record) => places.some((place) => isBehind(record, place))));
}

function isBehind({ leaf, spec, nodes }: CertificateRecord, { name, vipPort }: NodeConfig): boolean {
  return leaf !== undefined && vipPort === spec.vipPort && !isUpToDate(nodes?.[name], leaf.serial, vipPort);
}
