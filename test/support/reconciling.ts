/** Breaks are made on purpose, told by a dry run that changes nothing, and mended by a real one that tells the same. */
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { type Example, Report, type What } from "../../src/reconcile/report.ts";
import type { House } from "../../src/runtime/house.ts";
import { reconcileHouse } from "../../src/runtime/reconcile.ts";
import type { Redis } from "../../src/store/redis.ts";

/** What was found, with the names of it. */
export type FoundNames = Partial<Record<What, string[]>>;

export function namesOf(report: Report): FoundNames {
  const names = ({ examples }: { examples: Example[] }): string[] => examples.map(({ name }) => name).sort();
  return Object.fromEntries(report.found.map((found) => [found.what, names(found)]));
}

export async function run(house: House, dryRun = false): Promise<Report> {
  const report = new Report(dryRun);
  await reconcileHouse(house, report, () => undefined);
  return report;
}

/**
 * A dry run, which must change nothing; a real one, which must tell the same; and one more, which must find nothing more
 * to be mended.
 */
export async function reconciled(house: House, redis: Redis): Promise<FoundNames> {
  const before = await everything(house, redis);
  const dry = await run(house, true);
  expect(await everything(house, redis)).toEqual(before);
  const real = await run(house);
  expect(inOrder(real)).toEqual(inOrder(dry));
  expect((await run(house)).found.filter(({ outcome }) => outcome === "mended")).toEqual([]);
  return namesOf(real);
}

/** Redis hands out keys in an order of its own. */
function inOrder({ found }: Report): Report["found"] {
  const byName = (a: Example, b: Example): number => a.name.localeCompare(b.name);
  return found.map((one) => ({ ...one, examples: [...one.examples].sort(byName) }));
}

async function everything({ config }: House, redis: Redis): Promise<Record<string, string>> {
  const state: Record<string, string> = {};
  for (const key of (await redis.keys("*")).sort()) state[key] = await contentOf(redis, key);
  const walk = (folder: string): void => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const stats = lstatSync(path);
      const content = stats.isFile() ? readFileSync(path, "utf8") : "";
      state[path] = `${stats.mode.toString(8)} ${content}`;
      if (stats.isDirectory()) walk(path);
    }
  };
  walk(config.home);
  return state;
}

/** Without an order where there is none: Redis puts a hash in another one when it likes to. */
async function contentOf(redis: Redis, key: string): Promise<string> {
  switch (await redis.type(key)) {
    case "hash":
      return JSON.stringify(Object.entries(await redis.hgetall(key)).sort());
    case "set":
      return JSON.stringify((await redis.smembers(key)).sort());
    case "zset":
      return JSON.stringify(await redis.zrange(key, "0", "-1", "WITHSCORES"));
    case "list":
      return JSON.stringify(await redis.lrange(key, 0, -1));
    case "stream":
      return JSON.stringify(await redis.xrange(key, "-", "+"));
    default:
      return (await redis.get(key)) ?? "";
  }
}
