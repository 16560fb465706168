import { randomBytes } from "node:crypto";
import { link, readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { isCode, makeFolder, onDisk, PUBLIC_FILE, SECRET_FILE, syncFolder, writeStaged } from "./atomic.ts";
import { exists, json, moveIfThere, readJson, readText, removeFolder } from "./disk.ts";
import { type CertificateFile, leafNames, type StoredBundle, setPaths } from "./layout.ts";

/** `previous/bundle.json`. */
export type Kept = Pick<StoredBundle, "serial" | "names">;

const MAKING = ".previous-";
/** Milliseconds. */
const LEFT_OVER = 600_000;

/** What is being obtained, until it is complete. */
export function nextIn(folder: string): string {
  return join(folder, ".next");
}

export function previousIn(folder: string): string {
  return join(folder, "previous");
}

/**
 * Moves a set that is complete in `.next` into place; the one that it replaces is kept in `previous/`. It can die
 * anywhere and be repeated, by two at once too: the old set is kept as a whole before the first file is moved, and what
 * has begun to be moved is not kept any more.
 */
export async function placeStaged(folder: string, stem: string): Promise<void> {
  const next = nextIn(folder);
  if (!(await exists(join(next, "certificate.json")))) return;
  await keepPresent(folder, stem);
  const moves: [string, string][] = [
    ["key.pem", `${stem}.key`],
    ["cert.pem", `${stem}.cer`],
    ["ca.pem", "ca.cer"],
    ["fullchain.pem", "fullchain.cer"],
    ["certificate.json", "certificate.json"],
  ];
  for (const [from, to] of moves) await moveIfThere(join(next, from), join(folder, to));
  await syncFolder(folder);
  await removeFolder(next);
  await removeLeftovers(folder);
}

/** What a process that died before it was done has left; one that lives is done long before. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(MAKING)) continue;
    const { mtimeMs } = await stat(join(folder, name)).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (mtimeMs < Date.now() - LEFT_OVER) await removeFolder(join(folder, name));
  }
}

async function keepPresent(folder: string, stem: string): Promise<void> {
  const present = await readJson<CertificateFile>(join(folder, "certificate.json"));
  const staged = await readJson<CertificateFile>(join(nextIn(folder), "certificate.json"));
  if (!present?.leaf || present.leaf.serial === staged?.leaf?.serial) return;
  // What was never in use is nothing to go back to: the one that was is kept already.
  if (present.served !== undefined && present.served !== present.leaf.serial) return;
  const paths = setPaths(folder, stem);
  const { serial } = present.leaf;
  const names = leafNames(present, (await readText(paths.cert)) ?? "");
  await replacePrevious(folder, async (making) => {
    if (!(await linkAll(paths, making, stem))) return false;
    await writeStaged(join(making, "bundle.json"), json({ serial, names } satisfies Kept), PUBLIC_FILE);
    // The key is moved first: while it is staged, what was linked above is the old set.
    return await exists(join(nextIn(folder), "key.pem"));
  });
}

/** Whether they were all there. The files stay where they are, under both names. */
async function linkAll(from: ReturnType<typeof setPaths>, folder: string, stem: string): Promise<boolean> {
  const to = setPaths(folder, stem);
  try {
    await link(from.cert, to.cert);
    await link(from.key, to.key);
    await link(from.ca, to.ca);
    await link(from.fullchain, to.fullchain);
    return true;
  } catch (error) {
    if (isCode(error, "ENOENT")) return false;
    throw error;
  }
}

/** Writes a certificate into `previous/` that was never in place here. */
export async function writePrevious(folder: string, stem: string, bundle: StoredBundle): Promise<void> {
  await replacePrevious(folder, async (making) => {
    const paths = setPaths(making, stem);
    const { serial, names } = bundle;
    await writeStaged(paths.key, bundle.keyPem, SECRET_FILE);
    await writeStaged(paths.cert, bundle.leafPem, PUBLIC_FILE);
    await writeStaged(paths.ca, bundle.issuersPem, PUBLIC_FILE);
    await writeStaged(paths.fullchain, bundle.leafPem + bundle.issuersPem, PUBLIC_FILE);
    await writeStaged(join(making, "bundle.json"), json({ serial, names } satisfies Kept), PUBLIC_FILE);
    return true;
  });
}

/** Puts a folder that `fill` has made, and found good, into the place of `previous/`, as a whole. */
async function replacePrevious(folder: string, fill: (making: string) => Promise<boolean>): Promise<void> {
  const making = join(folder, `${MAKING}${randomBytes(8).toString("hex")}`);
  const previous = previousIn(folder);
  await onDisk(previous, async () => {
    await makeFolder(making);
    try {
      if (!(await fill(making))) return;
      await syncFolder(making);
      await moveIfThere(previous, `${making}-old`);
      await rename(making, previous).catch((error: unknown) => {
        // Another process has put the same there.
        if (!isCode(error, "ENOTEMPTY") && !isCode(error, "EEXIST")) throw error;
      });
      await syncFolder(folder);
    } finally {
      await removeFolder(making);
      await removeFolder(`${making}-old`);
    }
  });
}

/** The set in `previous/`, read as a whole. */
export async function readPrevious(
  folder: string,
  stem: string,
  id: string,
): Promise<StoredBundle | undefined> {
  const path = join(previousIn(folder), "bundle.json");
  for (;;) {
    const kept = await readJson<Kept>(path);
    if (!kept) return undefined;
    const set = await readSet(previousIn(folder), stem);
    // It may have been replaced in the middle.
    if ((await readJson<Kept>(path))?.serial !== kept.serial) continue;
    return set && { id, ...kept, ...set };
  }
}

/** Undefined when one of its files is missing. */
export async function readSet(
  folder: string,
  stem: string,
): Promise<Pick<StoredBundle, "leafPem" | "issuersPem" | "keyPem"> | undefined> {
  const paths = setPaths(folder, stem);
  const keyPem = await readText(paths.key);
  const leafPem = await readText(paths.cert);
  const issuersPem = await readText(paths.ca);
  if (keyPem === undefined || leafPem === undefined || issuersPem === undefined) return undefined;
  return { leafPem, issuersPem, keyPem };
}
