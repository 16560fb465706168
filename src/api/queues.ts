import { AsyncLocalStorage } from "node:async_hooks";
import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { FastifyAdapter } from "@bull-board/fastify";
import type { Queue } from "bullmq";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { AuditNote } from "../store/audit.ts";
import { actorOf } from "./actor.ts";
import type { ApiDeps } from "./deps.ts";
import { problemHandler } from "./plugins/errors.ts";
import { contentPolicy } from "./plugins/headers.ts";
import { mayChange, requireSameOrigin } from "./plugins/same-origin.ts";
import { allQueues } from "./queue-names.ts";
import { mayDo } from "./tokens.ts";

export const QUEUES = "/queues";
/** Characters: a path may be as long as its caller likes. */
const MOST_NOTED = 500;

/**
 * Its page has a base, and styles of its own inside. It also asks another host for a font, which it does well without:
 * that line is taken out, and would be refused.
 */
const POLICY = contentPolicy({ "base-uri": "'self'", "style-src": "'self' 'unsafe-inline'" });
const FOREIGN = /<link href="https?:[^>]*>/g;

/** Whether the request at hand may change jobs. Bull Board knows read-only queues, but not who asks. */
const writable = new AsyncLocalStorage<boolean>();

/** Bull Board: for everybody who may read to look at, and for admins to change things. */
export async function queueDashboard(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  const answerProblem = problemHandler(deps.log);
  app.addHook("onRoute", (route) => {
    route.config = { ...route.config, access: "read", basic: true, signIn: true, csp: POLICY };
    // Its own would answer our refusals in a form of its own.
    route.errorHandler = (error, request, reply) => {
      answerProblem(error, request, reply);
    };
  });
  // Whatever the caller was known by: nobody says that it is another site but a browser.
  app.addHook("onRequest", async (request) => requireSameOrigin(request, { bare: true }));
  app.addHook("onSend", async (_request, reply, payload) =>
    typeof payload === "string" && String(reply.getHeader("content-type")).startsWith("text/html")
      ? payload.replace(FOREIGN, "")
      : payload,
  );
  app.addHook("preHandler", async (request) => {
    if (mayChange(request) && isAdmin(request)) await deps.audit.note(noteOf(request));
  });
  // Last before the handler: reading a body loses such a context.
  app.addHook("preHandler", (request, _reply, done) => {
    writable.run(isAdmin(request), done);
  });
  const server = new FastifyAdapter();
  server.setBasePath(QUEUES);
  createBullBoard({
    queues: allQueues(deps).map((name) => adapterOf(deps.producer.queue(name))),
    serverAdapter: server,
    options: { uiConfig: { boardTitle: "Certherd queues" } },
  });
  await app.register(server.registerPlugin());
}

function isAdmin({ caller }: FastifyRequest): boolean {
  return caller !== undefined && mayDo(caller, "admin");
}

/** As the page asks for it, "PUT /queues/api/queues/notify/pause": it says all that there is to say. */
function noteOf(request: FastifyRequest): AuditNote {
  const detail = `${request.method} ${request.url.split("?")[0]}`.slice(0, MOST_NOTED);
  return { by: actorOf(request), action: "change jobs", detail };
}

/** Read-only by default, for whoever may only look. */
function adapterOf(queue: Queue): BullMQAdapter {
  const isWritable = (): boolean => writable.getStore() === true;
  return Object.defineProperties(new BullMQAdapter(queue), {
    readOnlyMode: { get: () => !isWritable() },
    allowRetries: { get: isWritable },
    allowCompletedRetries: { get: isWritable },
  });
}
