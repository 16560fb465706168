import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { FastifyReply } from "fastify";
import { ImportFiles } from "../store/import-files.ts";
import type { ApiDeps } from "./deps.ts";
import { whenGone } from "./gone.ts";

const PREFIX = ".dry-run-";
/** Milliseconds: no dry run takes a day. */
const LONGEST = 86_400_000;

/** A folder of its own for what a dry run writes down, gone when it has been answered, however that ends. */
export async function passingFiles({ home, log }: ApiDeps, reply: FastifyReply): Promise<ImportFiles> {
  await removeLeftovers(home).catch((error: Error) => log(error.message));
  const folder = await mkdtemp(join(home, PREFIX));
  whenGone(reply.raw, () => {
    remove(folder).catch((error: Error) => log(error.message));
  });
  return new ImportFiles(folder);
}

/** Those of processes that were killed: their rows hold people's addresses. By the disk's clock, which is the system's. */
async function removeLeftovers(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(home, name);
    // Its own request may be removing it right now.
    const made = await stat(folder).catch(() => undefined);
    if (made && Date.now() - made.mtimeMs > LONGEST) await remove(folder);
  }
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
