import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { certificateDocument } from "../../core/documents.ts";
import type { ApiDeps } from "../deps.ts";
import { findCertificate } from "../find.ts";
import { certificatePage } from "../paging.ts";
import { certificateList, certificateQuery, certificateWithEvents } from "../schemas/certificates.ts";
import { nameParams, problems } from "../schemas/common.ts";

/** What there is, and how it stands. */
export function certificateRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const { certificates } = deps;
  const typed = app.withTypeProvider<ZodTypeProvider>();

  typed.get(
    "/v1/certificates",
    {
      config: { access: "read" },
      schema: {
        summary: "List certificates",
        querystring: certificateQuery,
        response: { 200: certificateList, ...problems },
      },
    },
    async (request) => {
      const { records, next } = await certificatePage(deps, request.query);
      return {
        certificates: records.map((record) => certificateDocument(record)),
        ...(next === undefined ? {} : { next }),
      };
    },
  );

  typed.get(
    "/v1/certificates/:name",
    {
      config: { access: "read" },
      schema: {
        summary: "One certificate and its history",
        params: nameParams,
        response: { 200: certificateWithEvents, ...problems },
      },
    },
    async (request) => {
      const record = await findCertificate(certificates, request.params.name);
      return { ...certificateDocument(record), events: await certificates.events(record.id) };
    },
  );
}
