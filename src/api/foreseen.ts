import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { FastifyReply } from "fastify";
import { ImportFiles } from "../store/import-files.ts";
import type { AcceptAction } from "../store/record.ts";
import type { ApiDeps } from "./deps.ts";
import { whenGone } from "./gone.ts";

/** A folder of its own for what a dry run writes down, gone when it has been answered, however that ends. */
export async function passingFiles({ home, log }: ApiDeps, reply: FastifyReply): Promise<ImportFiles> {
  const folder = await mkdtemp(join(home, ".dry-run-"));
  const remove = (): void => {
    rm(folder, { recursive: true, force: true }).catch((error: Error) => log(error.message));
  };
  whenGone(reply.raw, remove);
  return new ImportFiles(folder);
}

/** Whether taking a row in would lead to an order, or to a deployment. */
export function isToBeDone(action: AcceptAction): boolean {
  return action !== "unchanged" && action !== "updated";
}
