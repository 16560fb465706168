import { type FastifyInstance, fastify } from "fastify";
import { Sessions } from "../store/sessions.ts";
import type { ApiDeps } from "./deps.ts";
import { EventHub } from "./events/hub.ts";
import { type AuthDeps, requireToken } from "./plugins/auth.ts";
import { CookieSessions, readCookies } from "./plugins/cookie-sessions.ts";
import { docsPages } from "./plugins/docs.ts";
import { answerProblems, sendProblem } from "./plugins/errors.ts";
import { sendHeaders, setHeaders } from "./plugins/headers.ts";
import { describeRoutes } from "./plugins/openapi.ts";
import { openRates } from "./plugins/rates.ts";
import { requireRedis } from "./plugins/redis.ts";
import { RequestError } from "./problems.ts";
import { QUEUES, queueDashboard } from "./queues.ts";
import { actionRoutes } from "./routes/actions.ts";
import { auditRoute } from "./routes/audit.ts";
import { bulkRoute } from "./routes/bulk.ts";
import { certificateRoutes } from "./routes/certificates.ts";
import { dashboardRoutes } from "./routes/dashboard.ts";
import { enqueueRoute } from "./routes/enqueue.ts";
import { eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { importRoutes } from "./routes/imports.ts";
import { limitsRoute } from "./routes/limits.ts";
import { metricsRoute } from "./routes/metrics.ts";
import { overviewRoute } from "./routes/overview.ts";
import { sessionRoutes } from "./routes/session.ts";
import { limitHandlers } from "./time-limit.ts";

/** Bytes of a JSON body. */
const MAX_BODY = 1024 * 1024;
/** Milliseconds: a connection on which nothing moves, and one that still sends what was answered already. */
const IDLE = 60_000;
const LINGER = 5_000;
/** A name has up to 253 characters, each of which may be written with three; Fastify takes 100. */
const MAX_PARAM = 1_000;

/** The API, ready to listen or to be asked by `inject`. */
export async function buildApp(deps: ApiDeps): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    bodyLimit: MAX_BODY,
    trustProxy: [...deps.http.trustProxy],
    connectionTimeout: IDLE,
    routerOptions: { maxParamLength: MAX_PARAM },
    frameworkErrors: (error, request, reply) => {
      setHeaders(request, reply);
      sendProblem(reply, new RequestError(400, "bad_request", error.message));
    },
  });
  app.removeContentTypeParser("text/plain");
  answerProblems(app, deps.log);
  sendHeaders(app);
  await readCookies(app);
  const auth = await openAuth(app, deps);
  requireToken(app, auth);
  requireRedis(app, deps.redis);
  limitHandlers(app);
  dropLateBodies(app);
  await describeRoutes(app);
  await app.register((scope) => docsPages(scope));
  healthRoutes(app, deps.redis);
  const hub = new EventHub(deps.redis);
  metricsRoute(app, deps, hub);
  eventRoutes(app, hub, auth.sessions);
  certificateRoutes(app, deps);
  enqueueRoute(app, deps);
  actionRoutes(app, deps);
  bulkRoute(app, deps);
  overviewRoute(app, deps);
  limitsRoute(app, deps);
  auditRoute(app, deps);
  await app.register((scope) => sessionRoutes(scope, deps, auth));
  await app.register((scope) => importRoutes(scope, deps));
  await app.register((scope) => dashboardRoutes(scope, deps.dashboard));
  await app.register((scope) => queueDashboard(scope, deps), { prefix: QUEUES });
  await app.ready();
  return app;
}

async function openAuth(app: FastifyInstance, deps: ApiDeps): Promise<AuthDeps> {
  const { redis, tokens, http, audit, log, intake } = deps;
  const sessions = new CookieSessions({
    redis,
    tokens,
    sessions: new Sessions(redis, http.session),
    clock: intake.clock,
  });
  const rates = await openRates(app, { audit, log, ratePerMinute: http.ratePerMinute });
  return { tokens, sessions, rates };
}

/** Whoever was answered before the end of their body may send on for a while, so as to see the answer, but not for ever. */
function dropLateBodies(app: FastifyInstance): void {
  app.addHook("onResponse", async ({ raw }) => {
    if (raw.complete || raw.destroyed) return;
    const timer = setTimeout(() => raw.destroy(), LINGER).unref();
    raw.once("close", () => clearTimeout(timer));
    raw.resume();
  });
}
