import { existsSync } from "node:fs";
import { join } from "node:path";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";
import { AppError } from "../../core/errors.ts";

/** Milliseconds: their names change with what is in them. */
const A_YEAR = 365 * 24 * 3_600 * 1_000;

/** The addresses of the dashboard's pages, all of which are one document; the rest is done in the browser. */
const PAGES = [
  "/",
  "/certificates",
  "/certificates/:name",
  "/imports",
  "/imports/:id",
  "/limits",
  "/audit",
] as const;

/** The web pages, as `npm run build` has made them in `folder`. */
export async function dashboardRoutes(app: FastifyInstance, folder: string): Promise<void> {
  app.addHook("onRoute", (route) => {
    route.config = { access: "open", redis: false, ...route.config };
    route.schema = { ...route.schema, hide: true };
  });
  // An installation from a source that nobody has built has none.
  if (!existsSync(folder)) return unbuilt(app);
  await app.register(fastifyStatic, {
    root: join(folder, "assets"),
    prefix: "/assets/",
    preCompressed: true,
    immutable: true,
    maxAge: A_YEAR,
    index: false,
    // There is one route for each file that is there: what is asked for cannot lead anywhere else.
    wildcard: false,
    globIgnore: ["**/*.br", "**/*.gz"],
  });
  for (const path of PAGES)
    app.get(path, { config: { access: "page", redis: false } }, async (_request, reply) =>
      reply.header("cache-control", "no-cache").sendFile("index.html", folder, { cacheControl: false }),
    );
}

function unbuilt(app: FastifyInstance): void {
  app.get("/", async () => {
    throw new AppError("The dashboard was not built: run `npm run build`, then start anew.", {
      code: "dashboard_not_built",
      disposition: "unavailable",
    });
  });
}
