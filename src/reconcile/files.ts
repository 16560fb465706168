import { existsSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { type CertificateRecord, firstNameOf } from "../core/certificate.ts";
import { isCode, SECRET_FILE } from "../store/atomic.ts";
import { type CertificateFile, leafTime } from "../store/layout.ts";
import { placeStaged } from "../store/placing.ts";
import { examine, ownerOf, type Seen } from "./folder.ts";
import { type Look, looksAt } from "./looks.ts";
import { mendDescription, mendSet, removeLeftover } from "./mend.ts";
import type { Known, ReconcileDeps } from "./ports.ts";
import type { Lines } from "./queues.ts";

/** Read from the store at once, where several hosts have one. */
const AT_ONCE = 32;
/** Milliseconds in which whoever writes a new set has moved it into place, and told the index. */
const UNDER_WAY = 60_000;

interface Told {
  id: string;
  seen: Seen;
  file: CertificateFile;
}

/**
 * Every folder of `certificates/`: what is wrong with it is mended or told, and what it tells is put into the index
 * where that lacks it; what is being ordered is left to whoever does so. `each` is handed what a dry run would have put back.
 */
export async function reconcileFiles(
  deps: ReconcileDeps,
  known: Known,
  { ordering }: Pick<Lines, "ordering">,
  each: (records: readonly CertificateRecord[]) => Promise<void>,
): Promise<void> {
  const removed = await deps.removals.load();
  for await (const looks of looksAt(deps.files.root, deps.clock)) {
    const told: Told[] = [];
    const untold: Seen[] = [];
    for (const look of looks) {
      const seen = await mendAlone(deps, look);
      const id = seen && ownerOf(seen);
      if (seen === undefined) continue;
      if (id === undefined) tellMisnamed(deps, seen);
      else if (typeof seen.file === "string") untold.push(seen);
      else told.push({ id, seen, file: seen.file });
    }
    await fromStore(deps, told);
    for (const seen of untold) await mendDescription(deps, known, seen);
    for (const { id, seen } of told) await mendSet(deps, known, id, seen);
    const settled = told.filter(({ id, seen }) => !isUnderWay(seen) && !ordering.has(id));
    await toIndex(deps, known, removed, told, new Set(settled.map(({ id }) => id)), each);
    deps.report.looked("folders", looks.length);
  }
}

/** Mends what one folder can be mended by alone. Undefined for what is no certificate's folder. */
async function mendAlone(deps: ReconcileDeps, { name, seen: first, fault }: Look): Promise<Seen | undefined> {
  const { files, report, clock } = deps;
  const path = join(files.root, name);
  if (first === undefined) {
    if (fault === undefined) report.add("foreign_file", path);
    // It was archived just now.
    else if (fault.code !== "ENOENT") report.add("unreadable", path, fault.message);
    return undefined;
  }
  try {
    // Another process may have been moving a new set into place at that moment.
    let seen = first.fault === undefined ? first : examine(files.root, name, clock.now());
    if (seen.staged && !isUnderWay(seen)) {
      report.add("unfinished_set", path);
      if (!report.dryRun) {
        await placeStaged(path, name);
        seen = { ...examine(files.root, name, clock.now()), leftovers: seen.leftovers };
      }
    }
    for (const leftover of seen.leftovers) await removeLeftover(deps, leftover);
    for (const key of seen.open) {
      report.add("open_key", key);
      if (!report.dryRun) await chmod(key, SECRET_FILE);
    }
    return seen;
  } catch (error) {
    if (!isCode(error, "ENOENT")) report.add("unreadable", path, message(error));
    return undefined;
  }
}

function tellMisnamed({ report }: ReconcileDeps, { folder, file }: Seen): void {
  if (typeof file === "string") return;
  report.add("misnamed_folder", folder, `certificate.json is of ${file.name}`);
}

/** Where several hosts have a store, the newer story of disk and store goes to the other one, as at each reading. */
async function fromStore({ shared, report, files }: ReconcileDeps, told: Told[]): Promise<void> {
  if (shared === undefined || report.dryRun) return;
  for (let from = 0; from < told.length; from += AT_ONCE)
    await Promise.all(
      told.slice(from, from + AT_ONCE).map(async (one) => {
        const file = await files.read(one.id).catch((error: unknown) => {
          report.add("unreadable", one.id, message(error));
          return undefined;
        });
        if (file) one.file = file;
      }),
    );
}

async function toIndex(
  deps: ReconcileDeps,
  known: Known,
  removed: ReadonlyMap<string, number>,
  told: readonly Told[],
  settled: ReadonlySet<string>,
  each: (records: readonly CertificateRecord[]) => Promise<void>,
): Promise<void> {
  const { report, intake, ledgers } = deps;
  const records: CertificateRecord[] = [];
  for (const { id, file } of told) {
    const record = intake.toRecord(file);
    if (await isLeft(deps, record, removed)) continue;
    if (file.leaf !== undefined) known.onDisk.add(id);
    ledgers?.add(record);
    records.push(record);
  }
  const present = await readAll(deps, records);
  // A removal takes the folder away first, and then the record.
  const missing = records.filter(
    ({ id }, index) => present[index] === undefined && existsSync(deps.files.folder(id)),
  );
  for (const { id } of missing) {
    report.add(known.damaged.has(id) ? "record_damaged" : "restored", firstNameOf(id));
    known.restored.add(id);
  }
  const newer: CertificateRecord[] = [];
  for (const [index, record] of records.entries()) {
    const before = present[index];
    if (before === undefined) continue;
    if (!intake.isNewer(record, before)) await tellOlder(deps, record, before);
    // Whoever has written it tells the index, and whoever waits for it.
    else if (settled.has(record.id)) newer.push(record);
  }
  for (const { id } of newer) report.add("newer_on_disk", firstNameOf(id));
  if (report.dryRun) return await each(missing);
  await intake.restoreMissing(missing);
  await intake.restoreNewer(newer, await readAll(deps, newer));
}

function isUnderWay({ age }: Seen): boolean {
  return age < UNDER_WAY;
}

/** The index as far as it can be read: a damaged record counts as none. */
async function readAll(
  { certificates }: ReconcileDeps,
  records: readonly CertificateRecord[],
): Promise<(CertificateRecord | undefined)[]> {
  const ids = records.map(({ id }) => id);
  return await certificates
    .getMany(ids)
    .catch(() => Promise.all(ids.map((id) => certificates.get(id).catch(() => undefined))));
}

/** One that was removed while its order was being fetched has left files, whose place is the archive. */
async function isLeft(
  { files, report, clock }: ReconcileDeps,
  { id, status, acceptedAt }: CertificateRecord,
  removed: ReadonlyMap<string, number>,
): Promise<boolean> {
  if (status === "removed" || acceptedAt > (removed.get(id) ?? 0)) return false;
  report.add("left_after_removal", firstNameOf(id));
  if (!report.dryRun) await files.archive(id, clock.now());
  return true;
}

/** The index tells of a later leaf than the files. What was written between the two looks is no fault. */
async function tellOlder(
  { report, files, clock }: ReconcileDeps,
  record: CertificateRecord,
  before: CertificateRecord,
): Promise<void> {
  const isOlder = ({ leaf }: Pick<CertificateRecord, "leaf">): boolean =>
    leaf !== undefined && before.leaf?.serial !== leaf.serial && leafTime({ leaf }) < leafTime(before);
  if (!isOlder(record)) return;
  const again = examine(files.root, files.folder(record.id).slice(files.root.length + 1), clock.now()).file;
  if (typeof again === "string" || !isOlder(again)) return;
  report.add(
    "older_on_disk",
    firstNameOf(record.id),
    `serial ${again.leaf?.serial} on disk, ${before.leaf?.serial} in the index`,
  );
}

export function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
