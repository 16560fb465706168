import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { ApiDeps } from "../deps.ts";
import { OverviewSource } from "../overview/overview.ts";
import { problems } from "../schemas/common.ts";
import { overview } from "../schemas/overview.ts";

/** What a person looks at first. */
export function overviewRoute(app: FastifyInstance, deps: ApiDeps): void {
  const { redis, alive, intake } = deps;
  const source = new OverviewSource({ redis, alive, clock: intake.clock, ...deps.overview });
  app.withTypeProvider<ZodTypeProvider>().get(
    "/v1/overview",
    {
      config: { access: "read" },
      schema: {
        summary: "How all of it stands",
        response: { 200: overview, ...problems },
      },
    },
    () => source.get(),
  );
}
