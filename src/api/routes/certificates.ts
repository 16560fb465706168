import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { certificateDocument } from "../../core/documents.ts";
import type { ApiDeps } from "../deps.ts";
import { certificateDetail } from "../detail.ts";
import { findCertificate } from "../find.ts";
import { certificatePage } from "../paging.ts";
import {
  certificateList,
  certificateQuery,
  certificateDetail as detailSchema,
} from "../schemas/certificates.ts";
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
        summary: "One certificate with all that is known of it",
        params: nameParams,
        response: { 200: detailSchema, ...problems },
      },
    },
    async (request) => {
      const record = await findCertificate(certificates, request.params.name);
      return await certificateDetail(certificates, deps.detail, record);
    },
  );
}
