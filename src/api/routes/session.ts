import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { rfc3339 } from "../../core/clock.ts";
import { actorOf, nameOf } from "../actor.ts";
import type { ApiDeps } from "../deps.ts";
import type { AuthDeps } from "../plugins/auth.ts";
import { requireSameOrigin } from "../plugins/same-origin.ts";
import { problems } from "../schemas/common.ts";
import { session } from "../schemas/session.ts";
import { safeNext } from "../sign-in/next.ts";
import { SIGN_IN_CSS, signInPage } from "../sign-in/page.ts";

const FORM = "application/x-www-form-urlencoded";
/** Bytes of a form. */
const MOST_FORM = 8_192;
const HTML = "text/html; charset=utf-8";
/** Seconds for which a browser may keep the stylesheet. */
const CSS_CACHE = "public, max-age=3600";

/** The sign-in for browsers, whose sessions are as good as the token that they began with. */
export async function sessionRoutes(app: FastifyInstance, deps: ApiDeps, auth: AuthDeps): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(FORM, { parseAs: "string", bodyLimit: MOST_FORM }, (_request, body, done) =>
    done(null, new URLSearchParams(String(body))),
  );
  signInRoutes(app, deps, auth);
  signOutRoutes(app, auth);
  sessionRoute(app, deps);
}

function signInRoutes(app: FastifyInstance, deps: ApiDeps, auth: AuthDeps): void {
  const schema = { hide: true };
  const open = { access: "open" } as const;
  app.get("/sign-in.css", { config: { ...open, redis: false }, schema }, async (_request, reply) =>
    reply.type("text/css; charset=utf-8").header("cache-control", CSS_CACHE).send(SIGN_IN_CSS),
  );

  app.get<{ Querystring: { next?: unknown } }>(
    "/sign-in",
    { config: open, schema },
    async (request, reply) => {
      const next = safeNext(request.query.next);
      if (await auth.sessions.find(request)) return reply.redirect(next, 303);
      // SameSite=Strict: whoever follows a link in a mail may well have a session, and has not shown it.
      const again = request.headers["sec-fetch-site"] === "cross-site";
      return reply.type(HTML).send(signInPage({ next, again }));
    },
  );

  app.post(
    "/sign-in",
    { config: { ...open, mediaType: FORM }, bodyLimit: MOST_FORM, schema },
    async (request, reply) => await signIn(request, reply, deps, auth),
  );
}

async function signIn(
  request: FastifyRequest,
  reply: FastifyReply,
  { audit }: ApiDeps,
  { tokens, rates, sessions }: AuthDeps,
): Promise<FastifyReply> {
  requireSameOrigin(request, { bare: false });
  const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
  const next = safeNext(form.get("next"));
  const caller = tokens.find((form.get("token") ?? "").trim());
  await rates.judge(request, caller);
  if (caller === undefined) {
    const error = "This token is not known here. Mind that all of it was copied.";
    return reply.status(401).type(HTML).send(signInPage({ next, error }));
  }
  request.caller = caller;
  await audit.note({ by: actorOf(request), action: "sign in" });
  // Not gone on with: whoever knew the one before is not to have the new one.
  await sessions.end(request, reply);
  await sessions.begin(request, reply, caller);
  return reply.redirect(next, 303);
}

function signOutRoutes(app: FastifyInstance, { sessions }: AuthDeps): void {
  app.post(
    "/sign-out",
    { config: { access: "page", mediaType: FORM }, bodyLimit: MOST_FORM, schema: { hide: true } },
    async (request, reply) => {
      await sessions.end(request, reply);
      return reply.redirect("/sign-in", 303);
    },
  );

  app.delete(
    "/v1/session",
    {
      config: { access: "any" },
      schema: {
        summary: "Sign out: end the browser's session",
        response: { 204: z.null().describe("It has ended; a bearer token stays as it is"), ...problems },
      },
    },
    async (request, reply) => {
      await sessions.end(request, reply);
      return reply.status(204).send();
    },
  );
}

function sessionRoute(app: FastifyInstance, { about }: ApiDeps): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    "/v1/session",
    {
      config: { access: "any", redis: false },
      schema: { summary: "Who asks, and what they may do", response: { 200: session, ...problems } },
    },
    async (request) => ({
      name: nameOf(request),
      scopes: [...(request.caller?.scopes ?? [])],
      expiresAt: request.session ? rfc3339(request.session.expiresAt) : null,
      version: about.version,
      ca: [...about.cas],
    }),
  );
}
