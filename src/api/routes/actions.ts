import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { CertificateRecord } from "../../core/certificate.ts";
import { certificateDocument } from "../../core/documents.ts";
import { usageError } from "../../core/errors.ts";
import { actorOf, mayReopen } from "../actor.ts";
import type { ApiDeps } from "../deps.ts";
import { findCertificate, unlessRemoved } from "../find.ts";
import { whileRedisAnswers } from "../plugins/redis.ts";
import { notPaused } from "../problems.ts";
import { removal, removalQuery, revocationRequest } from "../schemas/actions.ts";
import { certificate } from "../schemas/certificates.ts";
import { nameParams, noBody, problems } from "../schemas/common.ts";

const SIMPLE = {
  renew: { access: "enqueue", summary: "Order it anew, now", status: 202 },
  retry: { access: "enqueue", summary: "Try it again, as it has failed", status: 202 },
  pause: { access: "admin", summary: "Leave it alone until it is resumed", status: 200 },
  resume: { access: "admin", summary: "Go on with it, as it was paused", status: 200 },
} as const;

const standing = certificate.describe("As it stands then");

/** What may be done about a certificate. Each is noted in the audit log before it is done. */
export function actionRoutes(app: FastifyInstance, deps: ApiDeps): void {
  for (const action of ["renew", "retry", "pause", "resume"] as const) simpleRoute(app, deps, action);
  revokeRoute(app, deps);
  removeRoute(app, deps);
}

function simpleRoute(app: FastifyInstance, deps: ApiDeps, action: keyof typeof SIMPLE): void {
  const { access, summary, status } = SIMPLE[action];
  const answers: Record<number, typeof standing> & typeof problems = { [status]: standing, ...problems };
  app.withTypeProvider<ZodTypeProvider>().post(
    `/v1/certificates/:name/${action}`,
    {
      config: { access, anyTime: true },
      schema: {
        summary,
        params: nameParams,
        body: noBody,
        response: answers,
      },
    },
    async (request, reply) => {
      const noting = noted(deps, request, request.params.name, { action });
      const record = await whileRedisAnswers(deps.redis, noting);
      const doing =
        action === "retry"
          ? deps.actions.retry(record, { reopen: mayReopen(request) })
          : deps.actions[action](record);
      const done = await whileRedisAnswers<unknown>(deps.redis, doing);
      if (action === "resume" && done === undefined) throw notPaused(record);
      return reply.status(status).send(await whileRedisAnswers(deps.redis, now(deps, record)));
    },
  );
}

function revokeRoute(app: FastifyInstance, deps: ApiDeps): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    "/v1/certificates/:name/revoke",
    {
      config: { access: "admin", anyTime: true },
      schema: {
        summary: "Tell the CA that it is not to be trusted any more, and order another one",
        params: nameParams,
        body: revocationRequest,
        response: { 202: standing, ...problems },
      },
    },
    async (request, reply) => {
      const { reason = "unspecified", replace = true } = request.body ?? {};
      const note = { action: "revoke", detail: reason };
      const noting = noted(deps, request, request.params.name, note);
      const record = await whileRedisAnswers(deps.redis, noting);
      await whileRedisAnswers(deps.redis, deps.actions.revoke(record, { reason, replace }));
      return reply.status(202).send(await whileRedisAnswers(deps.redis, now(deps, record)));
    },
  );
}

function removeRoute(app: FastifyInstance, deps: ApiDeps): void {
  app.withTypeProvider<ZodTypeProvider>().delete(
    "/v1/certificates/:name",
    {
      config: { access: "admin", anyTime: true },
      schema: {
        summary: "Take it out of everything: nodes, schedule and index",
        params: nameParams,
        querystring: removalQuery,
        response: {
          200: removal.describe("It is gone"),
          202: removal.describe("Nodes have still to let go of it, and do so as soon as they can be reached"),
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const revoke = request.query.revoke === "true";
      const action = revoke ? "remove and revoke" : "remove";
      const finding = found(deps, request, name, { action });
      const record = await whileRedisAnswers(deps.redis, finding);
      const report = await whileRedisAnswers(deps.redis, deps.actions.remove(record, { revoke, wait: true }));
      if (!report.removed)
        throw usageError("asked_again", `${report.name} was asked for again in between: it is not removed.`);
      return reply.status(report.owed.length > 0 ? 202 : 200).send(report);
    },
  );
}

interface Note {
  action: string;
  detail?: string;
}

/** The certificate, once it is noted who wants what of it; throws `not_found`. */
async function found(
  { certificates, audit }: ApiDeps,
  request: FastifyRequest,
  name: string,
  note: Note,
): Promise<CertificateRecord> {
  const record = await findCertificate(certificates, name);
  await audit.note({ by: actorOf(request), record, ...note });
  return record;
}

/** The same, for what only makes sense with one that was not removed. */
async function noted(
  deps: ApiDeps,
  request: FastifyRequest,
  name: string,
  note: Note,
): Promise<CertificateRecord> {
  return unlessRemoved(await found(deps, request, name, note));
}

async function now({ certificates }: ApiDeps, record: CertificateRecord) {
  return certificateDocument((await certificates.get(record.id)) ?? record);
}
