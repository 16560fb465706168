import { createHash } from "node:crypto";
import { open, realpath, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isCode, onDisk, SECRET_FILE } from "../../../store/atomic.ts";
import { misconfigured } from "../owner.ts";

/**
 * Replaces a file as a whole, keeping owner and mode of the one that was there; a new one is this user's alone. A link
 * stays one. The folder has to be synced afterwards.
 */
export async function replaceFile(path: string, data: string): Promise<void> {
  await onDisk(path, async () => {
    const real = await realpath(path).catch(() => path);
    const before = await stat(real).catch(unlessMissing);
    // HAProxy reads no file of a folder that begins with a dot. The same name each time, so that what a crash has left
    // is not left for ever.
    const tag = createHash("sha256").update(basename(real)).digest("hex").slice(0, 32);
    const temporary = join(dirname(real), `.certherd-${tag}`);
    await unlink(temporary).catch(unlessMissing);
    const handle = await open(temporary, "wx", SECRET_FILE);
    try {
      await handle.writeFile(data);
      const { uid, gid } = await handle.stat();
      if (before && (before.uid !== uid || before.gid !== gid)) await handle.chown(before.uid, before.gid);
      await handle.chmod(before === undefined ? SECRET_FILE : before.mode & 0o7777);
      await handle.sync();
      await rename(temporary, real);
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    } finally {
      await handle.close();
    }
  }).catch((error: unknown) => {
    if (error instanceof Error && isCode(error.cause, "EPERM"))
      throw misconfigured(
        `Owner and group of ${path} could not be kept, as this process runs as user ${process.geteuid?.()}. Run the role "deploy" as root, or as that file's owner.`,
        error.cause,
      );
    throw error;
  });
}

export function unlessMissing(error: unknown): undefined {
  if (!isCode(error, "ENOENT")) throw error;
  return undefined;
}
