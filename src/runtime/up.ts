import type { Role } from "../store/alive.ts";
import type { House } from "./house.ts";
import { startRenew } from "./renew.ts";
import { type Service, together } from "./service.ts";
import { restore, startUpkeep } from "./upkeep.ts";

/** What each role starts; loaded when it is needed, as `list` has no use for a web server or an ACME library. */
const STARTERS: Record<Role, (house: House) => Promise<Service>> = {
  respond: async (house) => (await import("./respond.ts")).startRespond(house),
  notify: async (house) => (await import("./notify.ts")).startMail(house),
  issue: async (house) => (await import("./issue.ts")).startIssue(house),
  // Renewing keeps certificates going, upkeep the queue: both look at all there is, and one process is enough.
  renew: async (house) => together([startRenew(house), startUpkeep(house)]),
  api: async (house) => (await import("./api.ts")).startApi(house),
};

/**
 * Starts roles in this process, and says so in Redis for as long as they run. The files are looked at first, as a
 * role must not find less in Redis than is on disk.
 */
export async function startRoles(house: House, roles: readonly Role[]): Promise<Service> {
  house.watchPrivateRedis();
  house.tellOfRedis();
  await restore(house);
  const services: Service[] = [];
  try {
    for (const role of roles) services.push(await STARTERS[role](house));
    const stopBeating = await house.alive.beat(roles, house.processName);
    services.push({ close: stopBeating });
    return together(services);
  } catch (error) {
    await together(services).close();
    throw error;
  }
}
