import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { actorOf, mayReopen } from "../actor.ts";
import { actOnMany, type BulkAction } from "../bulk.ts";
import type { ApiDeps } from "../deps.ts";
import { mustHave } from "../plugins/auth.ts";
import { whileRedisAnswers } from "../plugins/redis.ts";
import { bulkAnswer, bulkRequest } from "../schemas/bulk.ts";
import { problems } from "../schemas/common.ts";
import type { Scope } from "../tokens.ts";

/** As of the routes for one certificate. */
const ACCESS: Readonly<Record<BulkAction, Scope>> = {
  retry: "enqueue",
  renew: "enqueue",
  pause: "admin",
  resume: "admin",
  remove: "admin",
};

/** The same for many certificates at once. */
export function bulkRoute(app: FastifyInstance, deps: ApiDeps): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    "/v1/certificates/actions",
    {
      config: { access: "enqueue", anyTime: true },
      schema: {
        summary: "Do the same about up to 200 certificates (pause, resume and remove: admin)",
        body: bulkRequest,
        response: { 200: bulkAnswer, ...problems },
      },
    },
    async (request) => {
      mustHave(request.caller, ACCESS[request.body.action]);
      const wanted = { ...request.body, reopen: mayReopen(request) };
      return await whileRedisAnswers(deps.redis, actOnMany(deps, actorOf(request), wanted));
    },
  );
}
