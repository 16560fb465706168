import { certificateId, firstNameOf } from "../core/certificate.ts";
import { chunked } from "../core/chunked.ts";
import { keys } from "../store/keys.ts";
import type { Known, ReconcileDeps } from "./ports.ts";

const CHUNK = 1_000;
/** Milliseconds in which what was written to disk comes to the index. */
const UNDER_WAY = 60_000;

/** What was accepted, is on disk, and of which nothing else knows. */
export async function reconcileImports(deps: ReconcileDeps, known: Known): Promise<void> {
  const { report, intake, importFiles } = deps;
  const abandoned = await intake.abandoned();
  for (const id of abandoned) {
    report.add("import_abandoned", id);
    if (!report.dryRun) await intake.replay(id);
  }
  const removed = await deps.removals.load();
  const reading = new Set(await deps.redis.zrange(keys.importsReading, "0", "-1"));
  for (const importId of await importFiles.ids()) {
    // Its reader lives, and is about to take them up.
    if (abandoned.includes(importId) || reading.has(importId)) continue;
    const lost = await unanswered(deps, importId, known, removed);
    for (const id of lost) {
      report.add("import_unanswered", firstNameOf(id), importId);
      // Another import may have asked for it, too: one of them is enough to be told.
      known.generations.set(id, 0);
    }
    if (report.dryRun) continue;
    // Where Redis was lost, all that is not answered is asked for again, and not only what has no certificate at all.
    if (deps.ledgers) await intake.replay(importId);
    else if (lost.size > 0) await intake.replay(importId, lost);
  }
}

/** Ids of the lines without a certificate, that was not taken away since. */
async function unanswered(
  { importFiles, certificates, report, clock }: ReconcileDeps,
  importId: string,
  known: Known,
  removed: ReadonlyMap<string, number>,
): Promise<Set<string>> {
  const lost = new Set<string>();
  const before = clock.now() - UNDER_WAY;
  for await (const lines of chunked(importFiles.lines(importId), CHUNK)) {
    const ids = lines.flatMap((line) => {
      if (!("spec" in line) || line.at > before) return [];
      const id = certificateId(line.spec.names[0] ?? "");
      return known.generations.has(id) || line.at <= (removed.get(id) ?? 0) ? [] : [id];
    });
    const fresh = await certificates.getMany(ids);
    for (const [index, id] of ids.entries()) if (fresh[index] === undefined) lost.add(id);
    report.looked("accepted rows", lines.length);
  }
  return lost;
}
