import { firstNameOf, REASONS, type Reason, STATUSES, type Status } from "../core/certificate.ts";
import { chunked } from "../core/chunked.ts";
import { keys } from "../store/keys.ts";
import { healNames } from "./names.ts";
import type { Known, ReconcileDeps } from "./ports.ts";
import type { What } from "./report.ts";
import { openScript, recordsScript, straysScript } from "./scripts.ts";

/** Ids handed to a script at once: each takes some microseconds, in which Redis does nothing else. */
const CHUNK = 250;
const CERTIFICATES = keys.certificate("");

/** Every record stands in each set that it has to. Notes which ones are damaged. */
export async function healRecords(
  { redis, report }: Pick<ReconcileDeps, "redis" | "report">,
  known: Pick<Known, "damaged">,
  ids: readonly string[],
): Promise<void> {
  const sets = [
    CERTIFICATES,
    keys.certificates,
    keys.status("" as Status),
    keys.renewals,
    keys.serials,
    keys.expiries,
    keys.waiting("" as Reason),
    keys.renewTimes,
  ];
  for (let from = 0; from < ids.length; from += CHUNK) {
    const chunk = ids.slice(from, from + CHUNK);
    const args = [report.dryRun ? "1" : "0", JSON.stringify(STATUSES), ...chunk];
    const found = (await recordsScript.run(redis, sets, args)) as string[];
    for (let i = 0; i < found.length; i += 2) {
      const [id = "", what] = [found[i], found[i + 1]];
      if (what === "damaged") known.damaged.add(id);
      else report.add(what as What, firstNameOf(id));
    }
    await healNames({ redis, report }, chunk);
  }
}

/** No set has an entry without its certificate. */
export async function removeStrays(deps: ReconcileDeps): Promise<void> {
  const { redis } = deps;
  const walk = (key: string) => members((cursor) => redis.zscan(key, cursor, "COUNT", CHUNK), 2);
  await strays(deps, keys.certificates, "all", "", walk(keys.certificates));
  for (const status of STATUSES)
    await strays(deps, keys.status(status), "status", status, walk(keys.status(status)));
  for (const reason of REASONS)
    await strays(deps, keys.waiting(reason), "waiting", reason, walk(keys.waiting(reason)));
  for (const key of [keys.renewals, keys.renewTimes, keys.expiries])
    await strays(deps, key, "renewals", "", walk(key));
  const names = members((cursor) => redis.hscan(keys.otherNames, cursor, "COUNT", CHUNK), 2);
  await strays(deps, keys.otherNames, "names", "", names);
  const serials = members((cursor) => redis.hscan(keys.serials, cursor, "COUNT", CHUNK), 1);
  await strays(deps, keys.serials, "serials", "", serials);
}

/** `step` 2 passes over the scores, or the values. */
async function* members(
  scan: (cursor: string) => Promise<[string, string[]]>,
  step: 1 | 2,
): AsyncGenerator<string> {
  let cursor = "0";
  do {
    const [next, found] = await scan(cursor);
    for (let i = 0; i < found.length; i += step) yield found[i] ?? "";
    cursor = next;
  } while (cursor !== "0");
}

async function strays(
  { redis, report }: ReconcileDeps,
  key: string,
  kind: "all" | "status" | "waiting" | "renewals" | "names" | "serials",
  status: string,
  entries: AsyncIterable<string>,
): Promise<void> {
  // A walk may come by one twice; what is removed is told once.
  const told = new Set<string>();
  for await (const chunk of chunked(entries, 2 * CHUNK)) {
    const args = [report.dryRun ? "1" : "0", kind, status, ...chunk];
    for (const member of (await straysScript.run(redis, [CERTIFICATES, key], args)) as string[]) {
      if (told.has(member)) continue;
      told.add(member);
      report.add("stray_entry", kind === "serials" ? member : firstNameOf(member), key);
    }
  }
}

/** Imports that wait for what has settled. Returns those that were changed. */
export async function healOpenImports(deps: ReconcileDeps): Promise<string[]> {
  const { redis, report } = deps;
  const changed: string[] = [];
  for await (const imports of chunked(
    members((cursor) => redis.zscan(keys.imports, cursor), 2),
    CHUNK,
  ))
    for (const id of imports) {
      const open = members((cursor) => redis.sscan(keys.importOpen(id), cursor, "COUNT", CHUNK), 1);
      let count = 0;
      for await (const ids of chunked(open, CHUNK)) {
        const args = [report.dryRun ? "1" : "0", id, ...ids];
        const freed = (await openScript.run(redis, [CERTIFICATES, keys.importOpen(id)], args)) as string[];
        count += freed.length;
      }
      if (count === 0) continue;
      report.add("import_stuck", id, `${count} certificates`);
      changed.push(id);
    }
  return changed;
}

/** Ends those of them that nothing is open of any more. */
export async function endImports(deps: ReconcileDeps, ids: readonly string[]): Promise<void> {
  const { redis, intake, report } = deps;
  if (report.dryRun) return;
  for (const id of ids) {
    if ((await redis.scard(keys.importOpen(id))) > 0) continue;
    if ((await redis.hget(keys.import(id), "read")) !== "1") continue;
    if ((await redis.hsetnx(keys.import(id), "ended", "1")) === 1) await intake.importEnded(id);
  }
}
