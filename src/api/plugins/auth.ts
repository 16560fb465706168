import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { RequestError } from "../problems.ts";
import { signInUrl } from "../sign-in/next.ts";
import { type Caller, mayDo, type Scope, type TokenBook } from "../tokens.ts";
import type { CookieSessions } from "./cookie-sessions.ts";
import type { Rates } from "./rates.ts";
import { requireSameOrigin } from "./same-origin.ts";

const BEARER = 'Bearer realm="certherd"';
const BASIC = 'Basic realm="certherd", charset="UTF-8"';

export interface AuthDeps {
  tokens: TokenBook;
  sessions: CookieSessions;
  rates: Rates;
}

/** Looks at every request before anything of its body is read, those for unknown routes too. */
export function requireToken(app: FastifyInstance, deps: AuthDeps): void {
  app.decorateRequest("caller", undefined);
  app.decorateRequest("shownBy", undefined);
  app.decorateRequest("session", undefined);
  app.addHook("onRequest", async (request, reply) => {
    const { access, basic, signIn } = rulesOf(request);
    if (access === "open") return;
    const given = tokenOf(request.headers.authorization ?? "", basic);
    await (given ? byToken(deps, request, given) : bySession(deps, request));
    if (request.caller === undefined) {
      if (!given && signIn && isBrowser(request)) return reply.redirect(signInUrl(request), 303);
      throw unauthorized(reply, basic, given !== undefined);
    }
    // A browser sends these by itself, whoever's page makes it do so.
    if (request.shownBy !== "bearer") requireSameOrigin(request, { bare: request.shownBy === "basic" });
    if (isOfV1(request)) await deps.rates.count(request);
    if (access !== "any" && access !== "page") mustHave(request.caller, access);
  });
}

/** Throws `forbidden` (403). */
export function mustHave(caller: Caller | undefined, scope: Scope): void {
  if (caller !== undefined && mayDo(caller, scope)) return;
  throw new RequestError(403, "forbidden", `This token may not do that; it needs the scope "${scope}".`);
}

/** By the route, as one URL may be written in several ways: "/%761/limits" leads there too. */
function isOfV1({ url, routeOptions }: FastifyRequest): boolean {
  return (routeOptions.url ?? url).startsWith("/v1/");
}

/** An unknown route has no rules; that it is unknown is told to those with a token. */
function rulesOf(request: FastifyRequest) {
  if (request.is404) return { access: "any", basic: false, signIn: false } as const;
  const { access = "admin", basic = false, signIn = access === "page" } = request.routeOptions.config;
  return { access, basic, signIn };
}

interface Given {
  token: string;
  by: "bearer" | "basic";
}

async function byToken({ tokens, rates }: AuthDeps, request: FastifyRequest, given: Given): Promise<void> {
  const caller = tokens.find(given.token);
  await rates.judge(request, caller);
  if (caller === undefined) return;
  request.caller = caller;
  request.shownBy = given.by;
}

async function bySession({ sessions }: AuthDeps, request: FastifyRequest): Promise<void> {
  const found = await sessions.find(request);
  if (found === undefined) return;
  request.caller = found.caller;
  request.shownBy = "session";
  request.session = found.session;
}

/** Somebody who looks at pages, and has shown nothing yet. */
function isBrowser({ method, headers }: FastifyRequest): boolean {
  return ["GET", "POST"].includes(method) && (headers.accept ?? "").includes("text/html");
}

function unauthorized(reply: FastifyReply, basic: boolean, wasGiven: boolean): RequestError {
  const bearer = wasGiven ? `${BEARER}, error="invalid_token"` : BEARER;
  reply.header("www-authenticate", basic ? [BASIC, bearer] : bearer);
  return new RequestError(
    401,
    "unauthorized",
    wasGiven
      ? "This token is not known here."
      : "This needs a token: send it as Authorization: Bearer <token>, or sign in at /sign-in.",
  );
}

function tokenOf(header: string, basic: boolean): Given | undefined {
  const [, scheme = "", credentials = ""] = /^(\w+) +(\S+)$/.exec(header) ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
      return { token: credentials, by: "bearer" };
    case "basic": {
      const pair = Buffer.from(credentials, "base64").toString();
      if (!basic || !pair.includes(":")) return undefined;
      return { token: pair.slice(pair.indexOf(":") + 1), by: "basic" };
    }
    default:
      return undefined;
  }
}
