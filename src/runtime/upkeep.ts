import { ensureJobs } from "../intake/jobs.ts";
import { adoptAbandonedImports, restoreFromFiles } from "../intake/restore.ts";
import { JobSweep } from "../intake/sweep.ts";
import { keys } from "../store/keys.ts";
import type { House } from "./house.ts";
import { healIndex } from "./index-version.ts";
import { every, type Service } from "./service.ts";

const LOOK = 30_000;
/** Milliseconds for which one process restores alone, unless it says that it still does: it may be killed in the middle. */
const RESTORE_LOCK = 120_000;

/** There while Redis holds what this host's files tell; with a store in common every host has files of its own. */
function marker({ shared, config }: House): string {
  return shared ? keys.restoredBy(config.node) : keys.restored;
}

export async function isLost(house: House): Promise<boolean> {
  return (await house.redis.exists(marker(house))) === 0;
}

/**
 * Brings Redis to what the files tell: all of it when Redis is new or was lost, else only the jobs of certificates
 * that are on their way. One process at a time; another one waits for it.
 */
export async function restore(house: House): Promise<void> {
  const { log } = house;
  await alone(
    house,
    () => isLost(house),
    async () => {
      if (await isLost(house)) {
        const restored = await restoreFromFiles(house.restoreDeps);
        if (restored > 0) log(`Put ${restored} certificates back into Redis from ${house.config.home}.`);
        for (const { name } of house.config.cas) await house.producer.admitOneAtATime(name);
        await markRestored(house);
      }
      await healIndex(house);
      const queued = await ensureJobs(house.restoreDeps);
      if (queued > 0) log(`Queued ${queued} certificates that were on their way.`);
    },
  );
}

export async function markRestored(house: House): Promise<void> {
  await house.redis.set(marker(house), house.processName);
}

/** One process at a time puts things back; another one waits for as long as `waits` says so, else leaves it be. */
export async function alone(
  { redis, processName }: House,
  waits: () => Promise<boolean>,
  act: () => Promise<void>,
): Promise<void> {
  while ((await redis.set(keys.restoring, processName, "PX", RESTORE_LOCK, "NX")) !== "OK") {
    if (!(await waits())) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const keeping = setInterval(
    () => void redis.pexpire(keys.restoring, RESTORE_LOCK).catch(() => 0),
    RESTORE_LOCK / 4,
  );
  try {
    await act();
  } finally {
    clearInterval(keeping);
    await redis.del(keys.restoring);
  }
}

/** The same for whoever only looks: where nothing is lost, that is all there is to know. */
export async function restoreIfLost(house: House): Promise<void> {
  if (await isLost(house)) await restore(house);
}

/** Takes up what died in the middle elsewhere, for as long as this process lives. */
export function startUpkeep(house: House): Service {
  const sweep = new JobSweep(house.restoreDeps);
  return every(LOOK, house, async () => {
    // Somebody has emptied Redis under us: what was there is on disk.
    if (await isLost(house)) await restore(house);
    await healIndex(house);
    await house.shared?.certificates.catchUp();
    for (const id of await adoptAbandonedImports(house.restoreDeps))
      house.log(`Took up the import ${id}, whose reader died.`);
    const queued = await sweep.turn();
    if (queued > 0) house.log(`Queued ${queued} certificates that had lost their job.`);
  });
}
