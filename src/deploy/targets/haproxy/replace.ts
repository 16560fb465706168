import { randomBytes } from "node:crypto";
import { open, rename, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { onDisk, syncFolder } from "../../../store/atomic.ts";

/**
 * Replaces a file as a whole, or makes it with `mode`. One that is there keeps its owner and mode, which the operator
 * may have set so that HAProxy can read it.
 */
export async function replaceFile(path: string, data: string, mode: number): Promise<void> {
  await onDisk(path, async () => {
    await stageFile(path, data, mode);
    await syncFolder(dirname(path));
  });
}

/** The same, its name being on disk for good only once the folder is synced: once for a whole batch. */
export async function stageFile(path: string, data: string, mode: number): Promise<void> {
  const before = await stat(path).catch(() => undefined);
  // HAProxy leaves alone what begins with a dot where it is told to read a whole folder.
  const temporary = join(dirname(path), `.tmp-${randomBytes(8).toString("hex")}`);
  const handle = await open(temporary, "wx", before === undefined ? mode : before.mode & 0o777);
  try {
    if (before && (before.uid !== process.geteuid?.() || before.gid !== process.getegid?.()))
      await handle.chown(before.uid, before.gid);
    await handle.writeFile(data);
    await handle.sync();
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  } finally {
    await handle.close();
  }
}
