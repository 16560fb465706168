import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { CertificateSpec } from "../../core/certificate.ts";
import { certificateDocument } from "../../core/documents.ts";
import { isToBeDone } from "../../store/record.ts";
import { actorOf } from "../actor.ts";
import type { ApiDeps } from "../deps.ts";
import { type Answer, IdempotentAnswers } from "../idempotency.ts";
import { specOf } from "../request-row.ts";
import { certificate, certificateRequest } from "../schemas/certificates.ts";
import { idempotencyHeaders, problems } from "../schemas/common.ts";

/** One certificate asked for: checked like a row of a CSV, and taken in like one. */
export function enqueueRoute(app: FastifyInstance, deps: ApiDeps): void {
  const answers = new IdempotentAnswers(deps.redis);
  app.withTypeProvider<ZodTypeProvider>().post(
    "/v1/certificates",
    {
      config: { access: "enqueue" },
      schema: {
        summary: "Ask for one certificate",
        headers: idempotencyHeaders,
        body: certificateRequest,
        response: { 200: certificate.describe("It was there already"), 202: certificate, ...problems },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const { context } = deps.intake;
      await context.relays?.prepare([body.mail?.relay ?? ""]);
      const spec = specOf(body, context);
      const key = request.headers["idempotency-key"];
      const caller = request.caller?.id ?? "";
      const work = async (): Promise<Answer> => {
        await deps.audit.note({ by: actorOf(request), action: "enqueue", certificate: spec.names[0] ?? "" });
        return await enqueue(deps, spec);
      };
      const { answer, replayed } =
        key === undefined
          ? { answer: await work(), replayed: false }
          : await answers.once({ caller, key, body }, work);
      if (replayed) reply.header("idempotency-replayed", "true");
      return reply.header("location", answer.location).status(answer.status).send(answer.document);
    },
  );
}

/** On disk first: what was answered for must not be lost with Redis. */
async function enqueue({ intake, certificates }: ApiDeps, spec: CertificateSpec): Promise<Answer> {
  const { enqueuer, files, clock } = intake;
  const [changed] = await enqueuer.changed([spec]);
  const at = clock.now();
  if (changed) await files.appendSingle([{ line: 1, at, spec }], at);
  const [accepted] = await enqueuer.enqueue([spec]);
  const record = accepted && (await certificates.get(accepted.id));
  if (!record) throw new Error(`${spec.names[0]} was enqueued, and is not there`);
  const queued = isToBeDone(accepted.action);
  return {
    status: queued ? 202 : 200,
    location: `/v1/certificates/${encodeURIComponent(spec.names[0] ?? "")}`,
    document: certificateDocument(record),
  };
}
