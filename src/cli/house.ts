import { loadConfig } from "../config/load.ts";
import { placesServed } from "../deploy/places.ts";
import type { House } from "../runtime/house.ts";
import type { Service } from "../runtime/service.ts";
import type { Role } from "../store/alive.ts";
import { type Io, note } from "./output.ts";

/** Opens the house for one command, and closes it whatever happens. Loaded here, as `--help` has no use for it. */
export async function withHouse<T>(io: Io, action: (house: House) => Promise<T>): Promise<T> {
  const config = loadConfig();
  const { openHouse } = await import("../runtime/house.ts");
  const house = await openHouse(config, (line) => note(io, line));
  try {
    return await action(house);
  } finally {
    await house.close();
  }
}

/** Like `withHouse`, for commands that need what the files tell to be in Redis. */
export async function withRestoredHouse<T>(io: Io, action: (house: House) => Promise<T>): Promise<T> {
  return await withHouse(io, async (house) => {
    const { restore } = await import("../runtime/upkeep.ts");
    await restore(house);
    return await action(house);
  });
}

/** Like `withRestoredHouse`, for commands that only look: they need not see to it that everything goes on. */
export async function withHouseToRead<T>(io: Io, action: (house: House) => Promise<T>): Promise<T> {
  return await withHouse(io, async (house) => {
    const { restoreIfLost } = await import("../runtime/upkeep.ts");
    await restoreIfLost(house);
    return await action(house);
  });
}

/** What issuing a certificate takes. */
const NEEDED: readonly Role[] = ["respond", "notify", "deploy", "issue"];

/**
 * Runs in this process whatever role is alive nowhere, so that a command works without `up`. Looks again for as long
 * as it is open: the `up` that was there may be killed.
 */
export class InProcessWorkers implements Service {
  readonly #house: House;
  readonly #services: Service[] = [];
  readonly #started = new Set<Role>();

  constructor(house: House) {
    this.#house = house;
  }

  /** Whether any role runs here. */
  get working(): boolean {
    return this.#started.size > 0;
  }

  async ensure(needed: readonly Role[] = NEEDED): Promise<void> {
    const { alive, nodes, config } = this.#house;
    const roles = await alive.roles(Date.now());
    // Another host's process deploys to its own nodes alone.
    const mine = [...placesServed(config.terminations, config).keys()];
    const served = await nodes.served(Date.now());
    if (mine.every((node) => served.has(node))) roles.add("deploy");
    else roles.delete("deploy");
    const missing = needed.filter((role) => !roles.has(role) && !this.#started.has(role));
    if (missing.length === 0) return;
    for (const role of missing) this.#started.add(role);
    const { startRoles } = await import("../runtime/up.ts");
    if (this.#services.length === 0) this.#house.tellOfRedis();
    this.#services.push(await startRoles(this.#house, missing));
  }

  async close(): Promise<void> {
    for (const service of this.#services.reverse()) await service.close();
  }
}

/** Whether anything that renews certificates runs on this Redis. */
export async function someoneRenews(house: House): Promise<boolean> {
  return (await house.alive.roles(Date.now())).has("renew");
}

export const NOBODY_RENEWS =
  "Nothing that renews certificates runs here: start `certherd up` (systemctl enable --now certherd) and leave it running.";
