import { Report } from "../reconcile/report.ts";
import { healRecords } from "../reconcile/sets.ts";
import { keys } from "../store/keys.ts";
import type { House } from "./house.ts";

/** Counts what was added to the index; to be raised with each set that records of an earlier version do not stand in. */
const VERSION = "2";
const SLICE = 1_000;

/**
 * Puts every certificate into the sets that an earlier version did not have: once, a second or two for 100,000. What is
 * changed meanwhile stands in them already. `reconcile` does the same, and more.
 */
export async function healIndex({ redis, log }: Pick<House, "redis" | "log">): Promise<void> {
  if ((await redis.get(keys.indexVersion)) === VERSION) return;
  const report = new Report(false);
  let cursor: string | undefined;
  for (;;) {
    const from = cursor === undefined ? "-" : `(${cursor}`;
    const ids = await redis.zrange(keys.certificates, from, "+", "BYLEX", "LIMIT", 0, SLICE);
    await healRecords({ redis, report }, { damaged: new Set() }, ids);
    cursor = ids.at(-1);
    if (cursor === undefined) break;
  }
  await redis.set(keys.indexVersion, VERSION);
  if (report.count("mended") > 0) log("The index is as this version has it.");
}
