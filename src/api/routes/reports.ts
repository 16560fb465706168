import { access } from "node:fs/promises";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { importRecords } from "../../intake/documents.ts";
import type { ImportRecord } from "../../store/imports.ts";
import type { ApiDeps } from "../deps.ts";
import { certificatesCsv, customersCsv, fileName, wholeLines } from "../import-reports.ts";
import { whileRedisAnswers } from "../plugins/redis.ts";
import { notFound } from "../problems.ts";
import { problems, textAnswer } from "../schemas/common.ts";
import { importParams } from "../schemas/imports.ts";
import { longAnswer } from "../streams.ts";

const KINDS = {
  report: {
    summary: "How each certificate of an import stands, as CSV",
    says: "Name, Names, Status, Reason, Until, Detail, NotBefore, NotAfter, Serial, Issuer, DNS",
  },
  rejected: {
    summary: "The rejected rows of an import, to be mended and imported again",
    says: "The rows as they came, and behind them Line, Column, Value and Reason, which an import ignores",
  },
  customers: {
    summary: "What customers have to set in DNS, of the certificates that wait for it",
    says: "DOMAIN, Record, Type, Set, Today, Why, Mail",
  },
} as const;
type Kind = keyof typeof KINDS;

/** What is known of an import, to be opened in a spreadsheet. Of any length, and streamed. */
export function reportRoutes(app: FastifyInstance, deps: ApiDeps): void {
  for (const kind of ["report", "rejected", "customers"] as const) reportRoute(app, deps, kind);
}

function reportRoute(app: FastifyInstance, deps: ApiDeps, kind: Kind): void {
  const { summary, says } = KINDS[kind];
  app.withTypeProvider<ZodTypeProvider>().get(
    `/v1/imports/:id/${kind}.csv`,
    {
      config: { access: "read", anyTime: true },
      // A HEAD would read it all for nothing.
      exposeHeadRoute: false,
      schema: {
        summary,
        params: importParams,
        response: { 200: textAnswer("text/csv", `${says}.`), ...problems },
      },
    },
    async (request, reply) => {
      const { imports } = deps.intake;
      const record = await whileRedisAnswers(deps.redis, imports.get(request.params.id));
      if (!record) throw notFound("There is no import of this id.");
      await send(reply, await linesOf(deps, kind, record), fileName(record.source, record.id, kind));
    },
  );
}

async function linesOf(deps: ApiDeps, kind: Kind, record: ImportRecord): Promise<AsyncIterable<string>> {
  const { intake, certificates } = deps;
  if (kind === "rejected") return await rejectedLines(deps, record);
  const records = importRecords(intake.imports, certificates, record.id);
  return kind === "report" ? certificatesCsv(records) : customersCsv(records);
}

async function rejectedLines(
  { intake }: ApiDeps,
  { id, counts }: ImportRecord,
): Promise<AsyncIterable<string>> {
  const path = intake.files.rejected(id);
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (isThere) return wholeLines(path);
  throw notFound(
    counts.rejectedRows === 0
      ? "No row of this import was rejected."
      : "The rejected rows of this import are not on this host: ask the one that took it in.",
  );
}

async function send(reply: FastifyReply, lines: AsyncIterable<string>, name: string): Promise<void> {
  await reply
    .type("text/csv; charset=utf-8")
    .header("content-disposition", `attachment; filename="${name}"`)
    .send(longAnswer(lines));
}
