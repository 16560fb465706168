import type { FastifyRequest } from "fastify";

/** The token's name, which is `full` for the one that has none. */
export function nameOf({ caller }: FastifyRequest): string {
  return caller?.id.replace(/^named:/, "") ?? "?";
}

/** Who asks, for the audit log; the same by a token and by a session that it began. */
export function actorOf(request: FastifyRequest): string {
  return `api:${nameOf(request)}`;
}
