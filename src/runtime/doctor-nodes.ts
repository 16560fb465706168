import { allPlaces, type NodeConfig } from "../config/terminations.ts";
import { asAppError } from "../core/errors.ts";
import { hostOf, placesServed } from "../deploy/places.ts";
import { openTarget } from "../deploy/targets/open.ts";
import { placeKey } from "../store/nodes.ts";
import { isLocal } from "./activity.ts";
import { portsOf } from "./deploy.ts";
import type { Finding } from "./doctor.ts";
import type { House } from "./house.ts";

/** Looks at every node: those of this process closely, the others for whether somebody deploys to them. */
export async function* examineNodes(house: House): AsyncGenerator<Finding> {
  const { config, nodes, clock } = house;
  const mine = placesServed(config.terminations, config);
  const served = await nodes.served(clock.now());
  const all = allPlaces(config.terminations);
  const faults = await nodes.faults(all);
  for (const place of all) {
    const what = `node ${place.name}:${place.vipPort}`;
    const fault = faults.get(placeKey(place));
    if (fault)
      yield { what, ok: false, detail: `It takes no certificates now: ${fault.detail}`, exitCode: 1 };
    if (mine.get(place.name)?.includes(place)) yield* examineTarget(house, place, what);
    else yield elsewhere(place, served, what);
  }
}

async function* examineTarget(house: House, place: NodeConfig, what: string): AsyncGenerator<Finding> {
  const target = openTarget(place, portsOf(house, place));
  try {
    for await (const { what: part, ok, detail } of target.examine())
      yield { what: `${what} ${part}`, ok, detail, exitCode: 1 };
  } catch (thrown) {
    yield { what, ok: false, detail: asAppError(thrown).message, exitCode: 1 };
  } finally {
    await target.close();
  }
}

function elsewhere(place: NodeConfig, served: ReadonlySet<string>, what: string): Finding {
  const host = hostOf(place);
  const there = `the process with CERTHERD_NODE=${host ?? place.name}`;
  const ok = served.has(place.name);
  const detail = ok
    ? `${there} deploys to it.`
    : `Nobody deploys to it now: start certherd up, or workers/deploy, with CERTHERD_NODE=${host ?? place.name} on that host; or give it "host" in the configuration.`;
  return { what, ok, detail, exitCode: 1 };
}

/** Whether this host orders. Both are as they should be. */
export function examineActivity({ config: { activeAddress } }: House): Finding {
  const detail =
    activeAddress === undefined
      ? "Active: no address is configured that would tell otherwise (activeWhen)."
      : isLocal(activeAddress)
        ? `Active: ${activeAddress} is here; this host orders and renews.`
        : `Passive: ${activeAddress} is not here; this host only deploys to its own nodes.`;
  return { what: "activity", ok: true, detail, exitCode: 0 };
}
