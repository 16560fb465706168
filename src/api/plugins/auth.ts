import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { RequestError } from "../problems.ts";
import type { Access } from "../route-config.ts";
import { type Caller, mayDo, type Scope, type TokenBook } from "../tokens.ts";

const BEARER = 'Bearer realm="certherd"';
const BASIC = 'Basic realm="certherd", charset="UTF-8"';

/** Looks at every request before anything of its body is read, those for unknown routes too. */
export function requireToken(app: FastifyInstance, tokens: TokenBook): void {
  app.decorateRequest("caller", undefined);
  app.addHook("onRequest", async (request, reply) => {
    // An unknown route has no rules; that it is unknown is told to those with a token.
    const { access = "admin", basic = false } = request.is404
      ? { access: "any" as const }
      : settings(request);
    if (access === "open") return;
    request.caller = authenticate(request, reply, tokens, basic);
    if (access !== "any") mustHave(request.caller, access);
  });
}

/** Throws `forbidden` (403). */
export function mustHave(caller: Caller | undefined, scope: Scope): void {
  if (caller !== undefined && mayDo(caller, scope)) return;
  throw new RequestError(403, "forbidden", `This token may not do that; it needs the scope "${scope}".`);
}

function settings(request: FastifyRequest): { access?: Access; basic?: boolean } {
  return request.routeOptions.config;
}

function authenticate(
  request: FastifyRequest,
  reply: FastifyReply,
  tokens: TokenBook,
  basic: boolean,
): Caller {
  const token = tokenOf(request.headers.authorization ?? "", basic);
  const caller = token === undefined ? undefined : tokens.find(token);
  if (caller) return caller;
  const bearer = token === undefined ? BEARER : `${BEARER}, error="invalid_token"`;
  reply.header("www-authenticate", basic ? [BASIC, bearer] : bearer);
  throw new RequestError(
    401,
    "unauthorized",
    token === undefined
      ? "This needs a token: send it as Authorization: Bearer <token>."
      : "This token is not known here.",
  );
}

function tokenOf(header: string, basic: boolean): string | undefined {
  const [, scheme = "", credentials = ""] = /^(\w+) +(\S+)$/.exec(header) ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
      return credentials;
    case "basic": {
      const pair = Buffer.from(credentials, "base64").toString();
      return basic && pair.includes(":") ? pair.slice(pair.indexOf(":") + 1) : undefined;
    }
    default:
      return undefined;
  }
}
