import type { Role } from "../store/alive.ts";
import { startWhileActive } from "./active.ts";
import type { House } from "./house.ts";
import { Part } from "./part.ts";
import { startRenew } from "./renew.ts";
import { type Service, together } from "./service.ts";
import { restore, startUpkeep } from "./upkeep.ts";

/** What each role starts; loaded when it is needed, as `list` has no use for a web server or an ACME library. */
const STARTERS: Record<Role, (house: House) => Promise<Service>> = {
  respond: async (house) => (await import("./respond.ts")).startRespond(house),
  notify: async (house) => (await import("./notify.ts")).startMail(house),
  // Of a pair only the host that has the address orders and renews; each deploys to itself.
  issue: async (house) => startWhileActive(house, async () => (await import("./issue.ts")).startIssue(house)),
  deploy: async (house) => (await import("./deploy.ts")).startDeploy(house),
  // Renewing keeps certificates going, upkeep the queue: both look at all there is, and one process is enough.
  renew: async (house) =>
    together([await startWhileActive(house, async () => startRenew(house)), startUpkeep(house)]),
  api: async (house) => (await import("./api.ts")).startApi(house),
};

const ONLY_WHILE_ACTIVE: ReadonlySet<Role> = new Set(["issue", "renew"]);

/**
 * Starts roles in this process, and says so in Redis for as long as they run; those `apart` have a process each. The
 * files are looked at first, as a role must not find less in Redis than is on disk.
 */
export async function startRoles(
  house: House,
  roles: readonly Role[],
  apart: readonly Role[] = [],
): Promise<Service> {
  house.watchPrivateRedis();
  const parts = apart.map((role) => new Part(role, house.log));
  const services: Service[] = [];
  try {
    // Loads its modules, and waits for its turn to look at the files, while this one starts.
    const partsStarted = Promise.all(parts.map((part) => part.start()));
    partsStarted.catch(() => undefined);
    await restore(house);
    for (const role of roles) services.push(await STARTERS[role](house));
    const works = (role: Role): boolean => house.active || !ONLY_WHILE_ACTIVE.has(role);
    const stopBeating = await house.alive.beat(roles, house.processName, works);
    services.push({ close: stopBeating });
    await partsStarted;
    return together([...services, ...parts]);
  } catch (error) {
    await together([...services, ...parts]).close();
    throw error;
  }
}
