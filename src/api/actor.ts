import type { FastifyRequest } from "fastify";

/** Who asks, for the audit log: the token's name, which is `full` for the one that has none. */
export function actorOf({ caller }: FastifyRequest): string {
  return `api:${caller?.id.replace(/^named:/, "") ?? "?"}`;
}
