import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { z } from "zod";
import { importCertificates, importDocument } from "../../intake/documents.ts";
import type { Fault } from "../../intake/row.ts";
import { FaultFile } from "../../store/faults.ts";
import type { ImportPlace } from "../../store/imports.ts";
import { isToBeDone } from "../../store/record.ts";
import { actorOf } from "../actor.ts";
import type { ApiDeps } from "../deps.ts";
import { passingFiles } from "../foreseen.ts";
import { importSummary, Progress } from "../import-progress.ts";
import { whileRedisAnswers } from "../plugins/redis.ts";
import { notFound } from "../problems.ts";
import { problems } from "../schemas/common.ts";
import {
  csvBody,
  importDocument as importDocumentSchema,
  importForecast,
  importList,
  importListQuery,
  importParams,
  importProgress,
  importQuery,
  importState,
} from "../schemas/imports.ts";
import { longAnswer, withFields, withMember } from "../streams.ts";
import { CSV, takeInBody } from "../take-in.ts";
import { reportRoutes } from "./reports.ts";
import { triageRoute } from "./triage.ts";

const JSON_TYPE = "application/json; charset=utf-8";

/** Imports take, and answer with, any number of rows: both ways as streams. */
export async function importRoutes(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  app.removeAllContentTypeParsers();
  // Left on the wire: the handler reads it as it goes.
  app.addContentTypeParser(CSV, (_request, _payload, done) => done(null, undefined));
  const typed = app.withTypeProvider<ZodTypeProvider>();

  typed.post(
    "/v1/imports",
    {
      config: { access: "enqueue", mediaType: CSV, anyTime: true },
      schema: {
        summary: "Take in a CSV",
        consumes: [CSV],
        querystring: importQuery,
        body: csvBody,
        response: {
          200: importForecast,
          202: importDocumentSchema,
          ...problems,
        },
      },
    },
    (request, reply) => takeIn(deps, request, reply, request.query),
  );

  typed.get(
    "/v1/imports/:id",
    {
      config: { access: "read", anyTime: true },
      // A HEAD would read it all for nothing.
      exposeHeadRoute: false,
      schema: {
        summary: "An import as it stands now",
        params: importParams,
        response: { 200: importState, ...problems },
      },
    },
    (request, reply) => showImport(deps, request.params.id, reply),
  );
  listRoute(app, deps);
  progressRoute(app, deps);
  reportRoutes(app, deps);
  triageRoute(app, deps);
}

function listRoute(app: FastifyInstance, { intake: { imports } }: ApiDeps): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    "/v1/imports",
    {
      config: { access: "read" },
      schema: {
        summary: "List imports, newest first",
        querystring: importListQuery,
        response: { 200: importList, ...problems },
      },
    },
    async ({ query: { cursor, limit } }) => {
      const places = await imports.page(limit + 1, cursor === undefined ? undefined : placeOf(cursor));
      const last = places.length > limit ? places[limit - 1] : undefined;
      const records = await imports.getMany(places.slice(0, limit).map(({ id }) => id));
      return {
        imports: records.flatMap((record) => (record ? [importSummary(record)] : [])),
        ...(last === undefined ? {} : { next: `${last.at}.${last.id}` }),
      };
    },
  );
}

/** As the schema of the query has it: milliseconds, and an id behind the first dot. */
function placeOf(cursor: string): ImportPlace {
  const at = cursor.indexOf(".");
  return { at: Number(cursor.slice(0, at)), id: cursor.slice(at + 1) };
}

function progressRoute(app: FastifyInstance, { redis, intake, certificates, doneBy }: ApiDeps): void {
  const { imports } = intake;
  const progress = new Progress({ imports, certificates, doneBy });
  app.withTypeProvider<ZodTypeProvider>().get(
    "/v1/imports/:id/progress",
    {
      config: { access: "read", anyTime: true },
      exposeHeadRoute: false,
      schema: {
        summary: "How an import gets on, in numbers",
        params: importParams,
        response: { 200: importProgress, ...problems },
      },
    },
    async (request) => {
      const record = await whileRedisAnswers(redis, imports.get(request.params.id));
      if (!record) throw notFound("There is no import of this id.");
      return await whileRedisAnswers(redis, progress.of(record));
    },
  );
}

async function takeIn(
  deps: ApiDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  query: z.infer<typeof importQuery>,
): Promise<void> {
  const dryRun = query.dryRun === "true";
  const source = query.source || "an upload";
  const note = { by: actorOf(request), action: "import", detail: source };
  if (!dryRun) await whileRedisAnswers(deps.redis, deps.audit.note(note));
  const foreseen = dryRun ? deps.foresight() : undefined;
  const result = await takeInBody(deps, request, {
    files: () => (dryRun ? passingFiles(deps, reply) : deps.intake.files),
    source,
    notify: query.notify ?? deps.notify,
    dryRun,
    onForeseen: (spec, action) => {
      if (isToBeDone(action)) foreseen?.add(spec);
    },
  });
  const document = resultDocument(deps, result, dryRun);
  const answer = foreseen
    ? withMember("plan", await whileRedisAnswers(deps.redis, foreseen.plan()), document)
    : document;
  if (!dryRun) reply.header("location", `/v1/imports/${result.id}`);
  await reply
    .status(dryRun ? 200 : 202)
    .type(JSON_TYPE)
    .send(longAnswer(answer));
}

function resultDocument(
  { intake, certificates }: ApiDeps,
  { id, counts, faults, info }: Awaited<ReturnType<typeof takeInBody>>,
  dryRun: boolean,
): AsyncIterable<string> {
  return importDocument({
    id,
    counts,
    warnings: info.warnings,
    rejected: faults.read(),
    certificates: dryRun ? none() : importCertificates(intake.imports, certificates, id),
  });
}

async function showImport(deps: ApiDeps, id: string, reply: FastifyReply): Promise<void> {
  const { intake, certificates } = deps;
  const record = await whileRedisAnswers(deps.redis, intake.imports.get(id));
  if (!record) throw notFound("There is no import of this id.");
  const { counts, read, ended, open } = record;
  const document = importDocument({
    id,
    counts,
    rejected: new FaultFile<Fault>(intake.files.root, id).read(),
    certificates: importCertificates(intake.imports, certificates, id),
  });
  await reply.type(JSON_TYPE).send(longAnswer(withFields({ read, ended, open }, document)));
}

async function* none(): AsyncGenerator<never> {}
