import { AsyncLocalStorage } from "node:async_hooks";
import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { FastifyAdapter } from "@bull-board/fastify";
import type { Queue } from "bullmq";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ApiDeps } from "./deps.ts";
import { problemHandler } from "./plugins/errors.ts";
import { RequestError } from "./problems.ts";
import { allQueues } from "./queue-names.ts";
import { mayDo } from "./tokens.ts";

export const QUEUES = "/queues";

/** Whether the request at hand may change jobs. Bull Board knows read-only queues, but not who asks. */
const writable = new AsyncLocalStorage<boolean>();

/** Bull Board: for everybody who may read to look at, and for admins to change things. */
export async function queueDashboard(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  const answerProblem = problemHandler(deps.log);
  app.addHook("onRoute", (route) => {
    route.config = { ...route.config, access: "read", basic: true };
    // Its own would answer our refusals in a form of its own.
    route.errorHandler = (error, request, reply) => {
      answerProblem(error, request, reply);
    };
  });
  app.addHook("onRequest", async (request) => refuseOtherSites(request));
  // Last before the handler: reading a body loses such a context.
  app.addHook("preHandler", (request, _reply, done) => {
    const { caller } = request;
    writable.run(caller !== undefined && mayDo(caller, "admin"), done);
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

/** Read-only by default, for whoever may only look. */
function adapterOf(queue: Queue): BullMQAdapter {
  const isWritable = (): boolean => writable.getStore() === true;
  return Object.defineProperties(new BullMQAdapter(queue), {
    readOnlyMode: { get: () => !isWritable() },
    allowRetries: { get: isWritable },
    allowCompletedRetries: { get: isWritable },
  });
}

/** Browsers send a password that they know to whatever another site's page makes them ask for. */
function refuseOtherSites(request: FastifyRequest): void {
  if (request.method === "GET" || request.method === "HEAD") return;
  const site = request.headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin") return;
  throw new RequestError(403, "forbidden", "Another site may not change anything here.");
}
