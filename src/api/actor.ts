import type { FastifyRequest } from "fastify";
import { mayDo } from "./tokens.ts";

/** The token's name, which is `full` for the one that has none. */
export function nameOf({ caller }: FastifyRequest): string {
  return caller?.id.replace(/^named:/, "") ?? "?";
}

/** Who asks, for the audit log; the same by a token and by a session that it began. */
export function actorOf(request: FastifyRequest): string {
  return `api:${nameOf(request)}`;
}

/** What was stopped for everybody goes on only where an admin says so. */
export function mayReopen({ caller }: FastifyRequest): boolean {
  return caller !== undefined && mayDo(caller, "admin");
}
