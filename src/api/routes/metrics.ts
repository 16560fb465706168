import type { FastifyInstance } from "fastify";
import type { ApiDeps } from "../deps.ts";
import type { EventHub } from "../events/hub.ts";
import { Metrics } from "../metrics.ts";
import { problems, textAnswer } from "../schemas/common.ts";

/** For Prometheus. */
export function metricsRoute(app: FastifyInstance, deps: ApiDeps, hub: EventHub): void {
  const metrics = new Metrics(deps, hub);
  app.get(
    "/metrics",
    {
      config: { access: "read" },
      schema: {
        summary: "Metrics in Prometheus's text format",
        response: { 200: textAnswer("text/plain", "The metrics."), ...problems },
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.render()),
  );
}
