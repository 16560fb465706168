import { firstNameOf, heldBy } from "../core/certificate.ts";
import { queueNames } from "../queue/names.ts";
import { keys, PREFIX } from "../store/keys.ts";
import { type Inventory, jobOf, placesOf } from "./inventory.ts";
import type { Known, ReconcileDeps } from "./ports.ts";
import { jobsScript } from "./scripts.ts";

const CHUNK = 250;
const REMOVED_AT_ONCE = 50;

/** What stands in one queue, and was found in order. */
interface Line {
  places: Set<string>;
  active: Set<string>;
}

/** The queues as they were found; what is on its way is looked up here. */
export interface Lines {
  byQueue: Map<string, Line>;
  /** Ids of certificates with a deployment in some queue, and with a withdrawal. */
  deploying: Set<string>;
  withdrawing: Set<string>;
  ordering: Set<string>;
  /** Job ids whose keys were leaked: they do not count as jobs. */
  leaked: Set<string>;
}

/** Reads all queues, and mends what does not hold together in them. */
export async function healQueues(deps: ReconcileDeps, inventory: Inventory): Promise<Lines> {
  const lines: Lines = {
    byQueue: new Map(),
    deploying: new Set(),
    withdrawing: new Set(),
    ordering: new Set(),
    leaked: new Set(),
  };
  for (const queue of inventory.queues) {
    const line = await placesOf(deps.redis, queue);
    const jobs = inventory.jobs.get(queue) ?? new Set<string>();
    const doubtful = [
      ...[...jobs].filter((id) => !line.places.has(id)),
      ...[...line.places].filter((id) => !jobs.has(id)),
    ];
    for (const id of await mendJobs(deps, queue, doubtful)) {
      lines.leaked.add(id);
      line.places.delete(id);
    }
    lines.byQueue.set(queue, line);
    for (const jobId of line.places) {
      const id = jobOf(jobId)?.id ?? "";
      if (jobId.startsWith("d-")) lines.deploying.add(id);
      else if (jobId.startsWith("x-")) lines.withdrawing.add(id);
      else if (jobId.startsWith("o-")) lines.ordering.add(id);
    }
    deps.report.looked("jobs", line.places.size);
  }
  await openAdmission(deps);
  return lines;
}

/** Most of the doubtful ones have come or gone between two looks. Returns those that were not in order. */
async function mendJobs(
  { redis, report }: ReconcileDeps,
  queue: string,
  doubtful: readonly string[],
): Promise<string[]> {
  const wrong: string[] = [];
  for (let from = 0; from < doubtful.length; from += CHUNK) {
    const args = [report.dryRun ? "1" : "0", ...doubtful.slice(from, from + CHUNK)];
    const found = (await jobsScript.run(redis, [`${PREFIX}:${queue}:`], args)) as string[];
    for (let i = 0; i < found.length; i += 2) {
      const id = found[i] ?? "";
      report.add(found[i + 1] === "leaked" ? "job_leaked" : "job_phantom", `${queue}/${id}`);
      wrong.push(id);
    }
  }
  return wrong;
}

/** Admission is one at a time over all processes, which a key of the queue tells. */
async function openAdmission({ redis, report, producer, accounts }: ReconcileDeps): Promise<void> {
  for (const account of accounts) {
    if ((await redis.hget(`${PREFIX}:${queueNames.admit(account)}:meta`, "concurrency")) === "1") continue;
    report.add("admission_opened", account);
    if (!report.dryRun) await producer.admitOneAtATime(account);
  }
}

/** Jobs that nobody will do anything with; and queues that nobody reads any more. */
export async function removeOrphans(deps: ReconcileDeps, known: Known, lines: Lines): Promise<void> {
  const { accounts, nodes, report } = deps;
  const read = new Set<string>([
    queueNames.notify,
    ...nodes.map(queueNames.deploy),
    ...accounts.flatMap((account) =>
      [queueNames.check, queueNames.admit, queueNames.renew, queueNames.order].map((name) => name(account)),
    ),
  ]);
  for (const [queue, line] of lines.byQueue) {
    const orphans = [...line.places].filter((jobId) => !line.active.has(jobId) && isOrphan(jobId, known));
    const removed = await removeJobs(deps, queue, orphans);
    const left = line.places.size - removed;
    if (!read.has(queue) && left > 0) report.add("queue_gone", queue, `${left} jobs`);
  }
}

/** Its certificate is gone, or has been asked for anew since; an order of an earlier generation ends by itself. */
function isOrphan(jobId: string, { generations }: Known): boolean {
  const job = jobOf(jobId);
  if (job === undefined) return false;
  const present = generations.get(job.id);
  if (present === undefined) return true;
  return /^[car]-/.test(jobId) && job.generation !== undefined && job.generation < present;
}

/** Returns how many were, or would be, removed: one that is worked on is left. */
async function removeJobs(deps: ReconcileDeps, queue: string, orphans: readonly string[]): Promise<number> {
  const { producer, report } = deps;
  let removed = 0;
  for (let from = 0; from < orphans.length; from += REMOVED_AT_ONCE)
    await Promise.all(
      orphans.slice(from, from + REMOVED_AT_ONCE).map(async (jobId) => {
        if (!(await isStillOrphan(deps, jobId))) return;
        if (!report.dryRun) {
          const done = await producer
            .queue(queue)
            .remove(jobId)
            .catch(() => 0);
          if (done === 0) return;
        }
        removed++;
        report.add("job_orphan", `${queue}/${jobId}`);
      }),
    );
  return removed;
}

/** It may have been asked for while we were looking. */
async function isStillOrphan({ redis }: ReconcileDeps, jobId: string): Promise<boolean> {
  const { id, generation } = jobOf(jobId) ?? { id: "" };
  return await isOver(redis, { id, ...(generation === undefined ? {} : { generation }) });
}

async function isOver(
  redis: ReconcileDeps["redis"],
  { id, generation }: { id: string; generation?: number },
): Promise<boolean> {
  const present = await redis.hget(keys.certificate(id), "generation");
  return present === null || (generation !== undefined && generation < Number(present));
}

/** What the ledger keeps for orders that are no more. */
export async function freePlaces(
  deps: ReconcileDeps,
  known: Known,
  { holdings, rooms }: Inventory,
  { ordering }: Lines,
): Promise<void> {
  const { redis, report, release } = deps;
  const isGone = (holder: string): boolean => {
    const { id, generation } = heldBy(holder);
    const present = known.generations.get(id);
    // An order of an earlier generation frees its own when it ends.
    return (present === undefined || generation < present) && !ordering.has(id);
  };
  for (const holding of new Set(holdings)) {
    const at = holding.indexOf(":");
    const [account, holder] = [holding.slice(0, at), holding.slice(at + 1)];
    if (!isGone(holder) || !(await isOver(redis, heldBy(holder)))) continue;
    report.add("hold_freed", firstNameOf(heldBy(holder).id), `of ${account}`);
    if (!report.dryRun) await release(account, holder);
  }
  for (const room of new Set(rooms)) {
    const key = `${keys.family("room")}${room}`;
    for (const holder of (await redis.zrange(key, "0", "-1")).filter(isGone)) {
      if (!(await isOver(redis, heldBy(holder)))) continue;
      report.add("room_freed", firstNameOf(heldBy(holder).id), room);
      if (!report.dryRun) await redis.zrem(key, holder);
    }
  }
}
