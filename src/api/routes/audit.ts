import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { ApiDeps } from "../deps.ts";
import { auditList, auditQuery } from "../schemas/audit.ts";
import { problems } from "../schemas/common.ts";

/** Who has asked for what, newest first. */
export function auditRoute(app: FastifyInstance, { audit }: ApiDeps): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    "/v1/audit",
    {
      config: { access: "admin" },
      schema: {
        summary: "Who has asked for what, newest first",
        querystring: auditQuery,
        response: { 200: auditList, ...problems },
      },
    },
    async (request) => {
      const { limit, cursor } = request.query;
      const rows = await audit.page(limit + 1, cursor);
      const last = rows.length > limit ? rows[limit - 1] : undefined;
      return {
        entries: rows.slice(0, limit).map(({ entry }) => entry),
        ...(last === undefined ? {} : { next: last.id }),
      };
    },
  );
}
