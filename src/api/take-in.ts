import type { FastifyRequest } from "fastify";
import { type CsvInfo, readRows } from "../intake/csv.ts";
import { type ImportRequest, type ImportResult, importRows } from "../intake/import.ts";
import type { ImportFiles } from "../store/import-files.ts";
import type { ApiDeps } from "./deps.ts";
import { whileRedisAnswers } from "./plugins/redis.ts";
import { Upload } from "./upload.ts";

/** The media type of a body of rows. */
export const CSV = "text/csv";

interface Options extends Omit<ImportRequest, "rows" | "info"> {
  /** Asked for once the body is not refused for what it says of itself. */
  files: () => ImportFiles | Promise<ImportFiles>;
}

/** Takes in a body of rows as it comes, as long as Redis answers. What is read of it is read to its end, or given up. */
export async function takeInBody(
  { intake, redis, maxImportBytes }: Pick<ApiDeps, "intake" | "redis" | "maxImportBytes">,
  request: FastifyRequest,
  { files, ...options }: Options,
): Promise<ImportResult & { info: CsvInfo }> {
  const upload = new Upload(request.raw, maxImportBytes);
  const rows = readRows(upload, { maxBytes: maxImportBytes, what: "The body" });
  const work = importRows({ ...intake, files: await files() }, { rows, info: rows.info, ...options });
  // Lets go of the request, which has still to be answered.
  const done = work.finally(() => rows.return());
  const result = await whileRedisAnswers(redis, done).catch((error: unknown) => {
    upload.giveUp();
    throw error;
  });
  return { ...result, info: rows.info };
}
