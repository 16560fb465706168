import { adoptAbandonedImports, ensureJobs, restoreFromFiles } from "../intake/restore.ts";
import { JobSweep } from "../intake/sweep.ts";
import { keys } from "../store/keys.ts";
import type { House } from "./house.ts";
import { every, type Service } from "./service.ts";

const LOOK = 30_000;
/** Milliseconds for which one process restores alone; it takes far less, and may be killed in the middle. */
const RESTORE_LOCK = 120_000;

/**
 * Brings Redis to what the files tell: all of it when Redis is new or was lost, else only the jobs of certificates
 * that are on their way. One process at a time; another one waits for it.
 */
export async function restore(house: House): Promise<void> {
  const { redis, log, processName } = house;
  while ((await redis.set(keys.restoring, processName, "PX", RESTORE_LOCK, "NX")) !== "OK") {
    if ((await redis.exists(keys.restored)) === 1) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  try {
    if ((await redis.exists(keys.restored)) === 0) {
      const restored = await restoreFromFiles(house.restoreDeps);
      if (restored > 0) log(`Put ${restored} certificates back into Redis from ${house.config.home}.`);
      for (const { name } of house.config.cas) await house.producer.admitOneAtATime(name);
      await redis.set(keys.restored, processName);
    }
    const queued = await ensureJobs(house.restoreDeps);
    if (queued > 0) log(`Queued ${queued} certificates that were on their way.`);
  } finally {
    await redis.del(keys.restoring);
  }
}

/** The same for whoever only looks: where nothing is lost, that is all there is to know. */
export async function restoreIfLost(house: House): Promise<void> {
  if ((await house.redis.exists(keys.restored)) === 0) await restore(house);
}

/** Takes up what died in the middle elsewhere, for as long as this process lives. */
export function startUpkeep(house: House): Service {
  const sweep = new JobSweep(house.restoreDeps);
  return every(LOOK, house, async () => {
    // Somebody has emptied Redis under us: what was there is on disk.
    if ((await house.redis.exists(keys.restored)) === 0) await restore(house);
    for (const id of await adoptAbandonedImports(house.restoreDeps))
      house.log(`Took up the import ${id}, whose reader died.`);
    const queued = await sweep.turn();
    if (queued > 0) house.log(`Queued ${queued} certificates that had lost their job.`);
  });
}
