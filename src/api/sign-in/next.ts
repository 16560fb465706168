import type { FastifyRequest } from "fastify";

/** Characters of a path that is gone on with. */
const MOST = 2_000;

/**
 * Where to go on after the sign-in: a path of this host, as written, or "/". Browsers take "//host" and "/\host" for
 * another host, and drop tabs and line ends before they look.
 */
export function safeNext(given: unknown): string {
  if (typeof given !== "string" || given.length > MOST) return "/";
  if (!/^\/(?![/\\])[\x21-\x7e]*$/.test(given) || given.includes("\\")) return "/";
  // Not back to the form itself.
  return /^\/sign-(in|out)\b/.test(given) ? "/" : given;
}

/** The sign-in, and from there back to what was asked for. */
export function signInUrl({ method, url }: FastifyRequest): string {
  const next = method === "GET" ? safeNext(url) : "/";
  return next === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(next)}`;
}
