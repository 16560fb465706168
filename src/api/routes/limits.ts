import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { ApiDeps } from "../deps.ts";
import { problems } from "../schemas/common.ts";
import { limits, limitsQuery } from "../schemas/limits.ts";

/** How the CAs' limits stand. */
export function limitsRoute(app: FastifyInstance, deps: ApiDeps): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    "/v1/limits",
    {
      config: { access: "read" },
      schema: {
        summary: "What is used of the CAs' limits, and who waits",
        querystring: limitsQuery,
        response: { 200: limits, ...problems },
      },
    },
    async (request) => await deps.limits(request.query.limit),
  );
}
