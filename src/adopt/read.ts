import { readdir, readFile, stat } from "node:fs/promises";
import { isCode } from "../store/atomic.ts";
import { refuse } from "./found.ts";

/** A file of the other client's; undefined where there is none. */
export async function readForeign(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw unreadable(path, error);
  }
}

/** The names in a folder, sorted; none where there is no such folder. */
export async function listForeign(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw unreadable(path, error);
  }
}

/** When a file was written last, milliseconds since the epoch. */
export async function writtenAt(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.mtimeMs;
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

/** A link into nothing, and a file where a folder should be, are as good as nothing. */
function isMissing(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "ELOOP"].some((code) => isCode(error, code));
}

function unreadable(path: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  const mending = isCode(error, "EACCES") ? " Run this as root, or as the user whose files they are." : "";
  return refuse("adopt_unreadable", `${path} cannot be read: ${reason}.${mending}`, error);
}
