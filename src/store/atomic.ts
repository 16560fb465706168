import { randomBytes } from "node:crypto";
import { type FileHandle, link, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AppError } from "../core/errors.ts";

export const SECRET_FILE = 0o600;
export const PUBLIC_FILE = 0o644;
export const FOLDER = 0o700;

/** The name ends in no suffix that a load balancer's folder would pick up. */
function temporaryName(path: string): string {
  return join(dirname(path), `.tmp-${randomBytes(8).toString("hex")}`);
}

/** Writes a file that nobody reads yet: a crash may leave a part of it. The folder has to be synced afterwards. */
export async function writeStaged(path: string, data: string, mode: number): Promise<void> {
  await onDisk(path, async () => {
    await writeSynced(path, data, mode, "w");
  });
}

/** Makes the folder where there is none yet, rather than look each time. */
async function openIn(path: string, flags: string, mode: number): Promise<FileHandle> {
  try {
    return await open(path, flags, mode);
  } catch (error) {
    if (!isCode(error, "ENOENT")) throw error;
    await makePath(dirname(path));
    return await open(path, flags, mode);
  }
}

async function writeSynced(path: string, data: string, mode: number, flags = "wx"): Promise<void> {
  const handle = await openIn(path, flags, mode);
  try {
    await handle.writeFile(data);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the renames and new names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a file as a whole: after a crash there is the old content or the new one, never a part. */
export async function writeAtomic(path: string, data: string, mode: number): Promise<void> {
  await onDisk(path, async () => {
    const temporary = temporaryName(path);
    try {
      await writeSynced(temporary, data, mode);
      await rename(temporary, path);
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
    await syncFolder(dirname(path));
  });
}

/** Creates a file as a whole, unless it is there; whether this call was the one. */
export async function createAtomic(path: string, data: string, mode: number): Promise<boolean> {
  return await onDisk(path, async () => {
    const temporary = temporaryName(path);
    await writeSynced(temporary, data, mode);
    try {
      await link(temporary, path);
      await syncFolder(dirname(path));
      return true;
    } catch (error) {
      if (isCode(error, "EEXIST")) return false;
      throw error;
    } finally {
      await unlink(temporary).catch(() => undefined);
    }
  });
}

/**
 * A folder of this user's alone, with those above it. Step by step, as Node's own recursive mkdir never returns
 * where a folder can be seen but not made (below /proc, say).
 */
export async function makeFolder(path: string): Promise<void> {
  await onDisk(path, () => makePath(path));
}

async function makePath(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: FOLDER });
  } catch (error) {
    if (isCode(error, "EEXIST")) return;
    if (!isCode(error, "ENOENT") || dirname(path) === path) throw error;
    await makePath(dirname(path));
    await mkdir(path, { mode: FOLDER }).catch((again: unknown) => {
      if (!isCode(again, "EEXIST")) throw again;
    });
  }
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** Names the file in an error of the disk, which is nobody's fault but this host's. */
export async function onDisk<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError(`${path} cannot be written: ${reason}.`, {
      code: isCode(error, "ENOSPC") ? "disk_full" : "disk_unavailable",
      disposition: "unavailable",
      cause: error,
    });
  }
}
