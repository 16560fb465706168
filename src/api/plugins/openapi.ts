import swagger from "@fastify/swagger";
import type { FastifyInstance, RouteOptions } from "fastify";
import { jsonSchemaTransform, validatorCompiler } from "fastify-type-provider-zod";
import { addExamples } from "../examples.ts";
import { OPERATIONS, TAGS } from "../operations.ts";

/** Validates by the routes' zod schemas, and shows them at /openapi.json. To be registered before the routes. */
export async function describeRoutes(app: FastifyInstance): Promise<void> {
  addExamples();
  app.setValidatorCompiler(validatorCompiler);
  // The schemas of the answers are for the reader; the types hold them already.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Certherd",
        description: "Bulk TLS certificate onboarding. Errors are problem details (RFC 9457).",
        version: "1",
      },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    },
    transform: (document) => {
      const { schema, url } = jsonSchemaTransform(document);
      return { schema: { ...operationOf(document.route), ...schema }, url };
    },
  });
  app.get("/openapi.json", { config: { access: "any", redis: false }, schema: { hide: true } }, async () =>
    app.swagger(),
  );
}

/** What a route's schema need not say. The scope stands as OpenAPI 3.1 has roles, beside the kind of token. */
function operationOf({ method, url, config }: RouteOptions): object {
  const [tag, operationId] = OPERATIONS[`${[method].flat()[0]} ${url}`] ?? [];
  const access = config?.access ?? "admin";
  const scopes = access === "any" || access === "open" ? [] : [access];
  return {
    ...(tag === undefined ? {} : { tags: [tag], operationId }),
    security: access === "open" ? [] : [{ token: scopes }],
  };
}
