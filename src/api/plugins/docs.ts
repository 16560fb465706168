import swaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance } from "fastify";
import { contentPolicy } from "./headers.ts";

/** Swagger UI puts styles into what it draws; all else is in files of its own. */
const POLICY = contentPolicy({ "style-src": "'self' 'unsafe-inline'" });

/** The page for /openapi.json. Everything that it loads is served here. */
export async function docsPages(app: FastifyInstance): Promise<void> {
  app.addHook("onRoute", (route) => {
    route.config = { ...route.config, access: "page", redis: false, csp: POLICY };
  });
  await app.register(swaggerUi, { routePrefix: "/docs", uiConfig: { docExpansion: "list" } });
}
