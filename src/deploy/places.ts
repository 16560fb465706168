import { allPlaces, type NodeConfig, type Terminations } from "../config/terminations.ts";

/** Over the network, from wherever it is. */
const REMOTE: ReadonlySet<NodeConfig["target"]["kind"]> = new Set(["loadbalancerOrg"]);

/**
 * The nodes that this process deploys to, each with its terminations: those named for its host, as files and signals are
 * local things, and those that can be reached from anywhere. Where no name was given to this host it is the only one,
 * and every node that is not named for another is its own.
 */
export function placesServed(
  terminations: Terminations,
  { node, nodeGiven }: { node: string; nodeGiven: boolean },
): Map<string, NodeConfig[]> {
  const served = new Map<string, NodeConfig[]>();
  for (const place of allPlaces(terminations)) {
    const named = place.host ?? (nodeGiven ? place.name : node);
    if (named !== node && !(REMOTE.has(place.target.kind) && place.host === undefined)) continue;
    served.set(place.name, [...(served.get(place.name) ?? []), place]);
  }
  return served;
}

/** CERTHERD_NODE of the process that is to deploy there; undefined where any may. */
export function hostOf({ host, name, target }: NodeConfig): string | undefined {
  return host ?? (REMOTE.has(target.kind) ? undefined : name);
}
