import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { jsonSchemaTransform, validatorCompiler } from "fastify-type-provider-zod";

/** Validates by the routes' zod schemas, and shows them at /openapi.json. To be registered before the routes. */
export async function describeRoutes(app: FastifyInstance): Promise<void> {
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
    },
    transform: jsonSchemaTransform,
  });
  app.get("/openapi.json", { config: { access: "any", redis: false }, schema: { hide: true } }, async () =>
    app.swagger(),
  );
}
