import type { FastifyRequest } from "fastify";
import { RequestError } from "../problems.ts";

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);

/** Whether a request may change something, by its method. */
export function mayChange({ method }: FastifyRequest): boolean {
  return !SAFE.has(method);
}

/**
 * Refuses what another site's page makes a browser ask for: it sends a cookie, or a password that it knows, by itself.
 * Browsers say where a request comes from by Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/), or over plain HTTP
 * by Origin alone. `bare`: whether a request with neither is let through, as programs send it.
 */
export function requireSameOrigin(request: FastifyRequest, { bare }: { bare: boolean }): void {
  if (!mayChange(request) || isSameOrigin(request, bare)) return;
  throw new RequestError(403, "forbidden", "Another site may not change anything here.");
}

function isSameOrigin(request: FastifyRequest, bare: boolean): boolean {
  const { "sec-fetch-site": site, origin } = request.headers;
  if (site !== undefined) return site === "same-origin";
  if (origin === undefined) return bare;
  const own = originOf(`${request.protocol}://${request.host}`);
  return own !== undefined && originOf(origin) === own;
}

/** In one spelling; undefined for what is none, as "null" is. */
function originOf(text: string): string | undefined {
  return URL.canParse(text) ? new URL(text).origin : undefined;
}
