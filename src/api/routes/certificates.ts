import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { certificateId } from "../../core/certificate.ts";
import { certificateDocument } from "../../core/documents.ts";
import { checkName } from "../../core/names.ts";
import type { ApiDeps } from "../deps.ts";
import { certificatePage } from "../paging.ts";
import { notFound } from "../problems.ts";
import {
  certificateList,
  certificateQuery,
  certificateWithEvents,
  nameParams,
  problems,
} from "../schemas.ts";

/** What there is, and how it stands. */
export function certificateRoutes(app: FastifyInstance, { certificates }: ApiDeps): void {
  const typed = app.withTypeProvider<ZodTypeProvider>();

  typed.get(
    "/v1/certificates",
    {
      config: { access: "read" },
      schema: {
        summary: "List certificates by name",
        querystring: certificateQuery,
        response: { 200: certificateList, ...problems },
      },
    },
    async (request) => {
      const { records, next } = await certificatePage(certificates, request.query);
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
      const { name } = request.params;
      const checked = checkName(name);
      const record = await certificates.get(certificateId(checked.ok ? checked.name : name));
      if (!record)
        throw notFound("This is no certificate's first name here; GET /v1/certificates lists them.");
      return { ...certificateDocument(record), events: await certificates.events(record.id) };
    },
  );
}
