import { firstNameOf } from "../core/certificate.ts";
import { keys } from "../store/keys.ts";
import { reconcileFiles } from "./files.ts";
import { reconcileImports } from "./imports.ts";
import { takeInventory } from "./inventory.ts";
import { lookAtNodes } from "./nodes.ts";
import { type Known, nothingKnown, type ReconcileDeps } from "./ports.ts";
import { freePlaces, healQueues, removeOrphans } from "./queues.ts";
import { Records } from "./records.ts";
import { endImports, healOpenImports, healRecords, removeStrays } from "./sets.ts";

/**
 * Compares files, index, queues and nodes, each with the others, and mends what can be mended. It can be cut off
 * anywhere and be repeated. In a dry run nothing is changed, and the same is told.
 */
export async function reconcile(deps: ReconcileDeps): Promise<void> {
  const known = nothingKnown();
  const inventory = await takeInventory(deps.redis, (ids) => healRecords(deps, known, ids));
  await removeStrays(deps);
  const lines = await healQueues(deps, inventory);
  const records = new Records(deps, known, lines);
  await reconcileFiles(deps, known, lines, (restored) => records.look(restored));
  // Before anything more is admitted: what follows goes by it.
  if (!deps.report.dryRun) await deps.ledgers?.write();
  await forgetDamaged(deps, known);
  await records.walk();
  await records.finish();
  await removeOrphans(deps, known, lines);
  await freePlaces(deps, known, inventory, lines);
  await lookAtNodes(deps, known);
  const waited = await healOpenImports(deps);
  await reconcileImports(deps, known);
  await endImports(deps, waited);
}

/** A record that makes no sense keeps the name from being asked for again; where files tell of it, it is back by now. */
async function forgetDamaged({ redis, report }: ReconcileDeps, { damaged, restored }: Known): Promise<void> {
  for (const id of damaged) {
    if (restored.has(id)) continue;
    report.add("record_lost", firstNameOf(id));
    if (report.dryRun) continue;
    await redis.del(keys.certificate(id));
    await redis.zrem(keys.certificates, id);
  }
}
