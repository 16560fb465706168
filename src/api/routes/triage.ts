import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { CertificateSpec } from "../../core/certificate.ts";
import { AppError } from "../../core/errors.ts";
import { isToBeDone } from "../../store/record.ts";
import type { ApiDeps } from "../deps.ts";
import { passingFiles } from "../foreseen.ts";
import { whenGone } from "../gone.ts";
import { whileRedisAnswers } from "../plugins/redis.ts";
import { RequestError } from "../problems.ts";
import { problems } from "../schemas/common.ts";
import { csvBody } from "../schemas/imports.ts";
import { triageAnswer } from "../schemas/triage.ts";
import { longAnswer } from "../streams.ts";
import { CSV, takeInBody } from "../take-in.ts";
import { triageLines } from "../triage.ts";

const LINES = "application/x-ndjson";
/** In one process: each looks at up to 64 certificates at once, and keeps its rows in memory. */
const MOST_AT_ONCE = 2;
/** Seconds after which one of too many may come again. */
const AGAIN = "30";

/** Whether the names of a CSV lead here. Orders nothing, and leaves nothing behind. */
export function triageRoute(app: FastifyInstance, deps: ApiDeps): void {
  let running = 0;
  app.withTypeProvider<ZodTypeProvider>().post(
    "/v1/triage",
    {
      config: { access: "enqueue", mediaType: CSV, anyTime: true },
      schema: {
        summary: "Look whether the names of a CSV lead here",
        description:
          "Lines of JSON: how far it is, at most four a second, and at the end the report, or a problem. Hanging up ends it. Two at once for each process.",
        consumes: [CSV],
        body: csvBody,
        response: { 200: triageAnswer, ...problems },
      },
    },
    async (request, reply) => {
      if (running >= MOST_AT_ONCE) {
        reply.header("retry-after", AGAIN);
        throw new RequestError(
          429,
          "too_many_triages",
          `${MOST_AT_ONCE} triages are under way here already: wait for one to end, and come again.`,
        );
      }
      running++;
      const gone = new AbortController();
      whenGone(reply.raw, () => {
        running--;
        gone.abort(new Error("The caller has hung up."));
      });
      await answer(deps, request, reply, gone.signal);
    },
  );
}

async function answer(
  deps: ApiDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<void> {
  const specs: CertificateSpec[] = [];
  const { counts } = await takeInBody(deps, request, {
    files: () => passingFiles(deps, reply),
    source: "a triage",
    notify: "off",
    dryRun: true,
    onForeseen: (spec, action) => {
      if (isToBeDone(action)) specs.push(spec);
    },
  });
  await whileRedisAnswers(deps.redis, requireResponder(deps, specs));
  const lines = triageLines({ specs, rejected: counts.rejectedRows, triage: deps.triage, signal });
  await reply.type(LINES).send(longAnswer(lines, { atOnce: true }));
}

/** Without one every name would be found not to lead here, one after ten seconds. */
async function requireResponder({ alive }: ApiDeps, specs: readonly CertificateSpec[]): Promise<void> {
  if (!specs.some(({ challenge }) => challenge === "http-01")) return;
  if ((await alive.roles(Date.now())).has("respond")) return;
  throw new AppError(
    "No responder runs, so no name can lead to it; start `certherd up` or the respond worker.",
    {
      code: "no_responder",
      disposition: "unavailable",
    },
  );
}
