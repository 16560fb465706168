import type { FastifyInstance } from "fastify";
import type { ApiDeps } from "../deps.ts";
import type { EventHub } from "../events/hub.ts";
import { Metrics } from "../metrics.ts";

/** For Prometheus. */
export function metricsRoute(app: FastifyInstance, deps: ApiDeps, hub: EventHub): void {
  const metrics = new Metrics(deps, hub);
  app.get(
    "/metrics",
    { config: { access: "read" }, schema: { summary: "Metrics in Prometheus's text format" } },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.render()),
  );
}
