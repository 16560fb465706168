import { readFile, rm } from "node:fs/promises";
import { type CertificateRecord, firstNameOf, isIssued, isObtained } from "../core/certificate.ts";
import { PUBLIC_FILE, writeAtomic } from "../store/atomic.ts";
import { removeFolder } from "../store/disk.ts";
import { certificateFile, setPaths } from "../store/layout.ts";
import { nextIn } from "../store/placing.ts";
import { isSameSerial } from "./fits.ts";
import type { Seen } from "./folder.ts";
import type { Known, ReconcileDeps } from "./ports.ts";

/** Milliseconds after which nobody goes on with an order whose certificate is there. */
const DONE_WITH = 600_000;
/** Milliseconds for which a CA keeps an order (Let's Encrypt: 7 days), and a day. */
const ORDER_LIFE = 8 * 86_400_000;

export async function removeLeftover({ report }: ReconcileDeps, path: string): Promise<void> {
  report.add("leftover", path);
  if (!report.dryRun) await rm(path, { recursive: true, force: true });
}

/** A set that is not whole: from the store where there is one, else a person has to see to it. */
export async function mendSet(deps: ReconcileDeps, known: Known, id: string, seen: Seen): Promise<void> {
  const { report, shared } = deps;
  if (seen.fault !== undefined) {
    known.onDisk.add(id);
    if (await shared?.recover(id, report.dryRun)) report.add("set_from_store", firstNameOf(id));
    else report.add(seen.fault, firstNameOf(id), seen.folder);
  }
  for (const lacking of seen.lacks) await makeChainFile(deps, seen, lacking);
  if (seen.pendingFor !== undefined && seen.pendingFor > DONE_WITH)
    await putAwayOrder(deps, seen, await readRecord(deps, id));
}

/** `fullchain.cer` is the leaf with `ca.cer`. */
async function makeChainFile(
  { report }: ReconcileDeps,
  { folder, stem }: Seen,
  lacking: "ca" | "fullchain",
): Promise<void> {
  const paths = setPaths(folder, stem);
  report.add("chain_rewritten", paths[lacking]);
  if (report.dryRun) return;
  const leaf = await readFile(paths.cert, "utf8");
  const other = await readFile(lacking === "ca" ? paths.fullchain : paths.ca, "utf8");
  const end = "-----END CERTIFICATE-----";
  const rest = other.slice(other.indexOf(end) + end.length).trimStart();
  await writeAtomic(paths[lacking], lacking === "ca" ? rest : leaf + other, PUBLIC_FILE);
}

/** `certificate.json` is damaged or gone: the index tells it again, where it is of the leaf that is there. */
export async function mendDescription(deps: ReconcileDeps, known: Known, seen: Seen): Promise<void> {
  const { report, files, shared } = deps;
  const { stem, names, file, serial } = seen;
  const hasSet = names.has(`${stem}.cer`) || names.has(`${stem}.key`);
  const record = await readRecord(deps, stem);
  // Nothing has settled yet.
  if (file === "missing" && !hasSet) return await withoutSet(deps, seen, record);
  known.onDisk.add(stem);
  if (await shared?.recover(stem, report.dryRun)) return report.add("set_from_store", firstNameOf(stem));
  const isTold = hasSet
    ? record?.leaf !== undefined && serial !== undefined && isSameSerial(serial, record.leaf.serial)
    : record !== undefined && record.leaf === undefined;
  if (record === undefined || !isTold) return report.add("damaged_description", seen.folder);
  report.add("description_rewritten", firstNameOf(stem));
  if (!report.dryRun) await files.saveState(stem, certificateFile(record));
}

/** A folder with an order in hand, or what is left of one; or somebody else's. */
async function withoutSet(
  deps: ReconcileDeps,
  seen: Seen,
  record: CertificateRecord | undefined,
): Promise<void> {
  if (seen.pendingFor !== undefined) return await putAwayOrder(deps, seen, record);
  if (seen.names.size > 0) deps.report.add("foreign_file", seen.folder);
}

/** An order is gone on with as long as anybody may: what it is for is there, or nobody knows of it and the CA has ended it. */
async function putAwayOrder(
  { report, ledgers }: ReconcileDeps,
  { folder, pendingFor = 0, staged }: Seen,
  record: CertificateRecord | undefined,
): Promise<void> {
  // After a loss it may be what is gone on with.
  if (staged || ledgers !== undefined) return;
  const isDone = record !== undefined && isObtained(record) && isIssued(record) && pendingFor > DONE_WITH;
  if (!isDone && !(record === undefined && pendingFor > ORDER_LIFE)) return;
  report.add("order_left", nextIn(folder));
  if (!report.dryRun) await removeFolder(nextIn(folder));
}

async function readRecord(
  { certificates }: ReconcileDeps,
  id: string,
): Promise<CertificateRecord | undefined> {
  return await certificates.get(id).catch(() => undefined);
}
