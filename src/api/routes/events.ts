import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import type { EventHub } from "../events/hub.ts";
import { whenGone } from "../gone.ts";
import type { CookieSessions } from "../plugins/cookie-sessions.ts";
import { problems, textAnswer } from "../schemas/common.ts";

const eventId = z
  .string()
  .regex(/^\d{1,15}(-\d{1,15})?$/, "give the id of an event, such as 1756390501000-0")
  .meta({ examples: ["1756390501000-0"] });

/** Seconds after which one of too many clients may come again. */
const AGAIN = "30";

/** Milliseconds; longer ones Node takes for none. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Milliseconds between two looks at whether somebody has signed out. */
const LOOK = 3_000;

/** A browser comes back by itself, and is let in if its session is still there. */
function endWithSession(request: FastifyRequest, response: ServerResponse, sessions: CookieSessions): void {
  if (request.session === undefined) return;
  const left = Math.min(request.session.expiresAt - Date.now(), LONGEST_TIMER);
  const end = setTimeout(() => response.destroy(), left).unref();
  // One after the other, as a Redis that is away answers none of them.
  const look = async (): Promise<void> => {
    if (!(await sessions.isThere(request))) response.destroy();
    else if (!response.destroyed) next = setTimeout(() => void look(), LOOK).unref();
  };
  let next = setTimeout(() => void look(), LOOK).unref();
  whenGone(response, () => {
    clearTimeout(end);
    clearTimeout(next);
  });
}

/** What happens, as it happens. */
export function eventRoutes(app: FastifyInstance, hub: EventHub, sessions: CookieSessions): void {
  app.addHook("preClose", async () => await hub.close());
  app.withTypeProvider<ZodTypeProvider>().get(
    "/v1/events",
    {
      exposeHeadRoute: false,
      config: { access: "read", anyTime: true },
      schema: {
        summary: "What happens to certificates, as server-sent events",
        description:
          "text/event-stream, one event for each step of each certificate. Last-Event-ID (or ?lastEventId=) goes on after that event; `reset` says that events before the oldest one kept are gone.",
        querystring: z.strictObject({
          lastEventId: eventId.optional(),
          recent: z.coerce
            .number()
            .int()
            .min(1)
            .max(100)
            .optional()
            .describe("Begin with so many of the newest ones, where no event is named to go on after."),
          plain: z
            .enum(["true", "false"])
            .optional()
            .describe(
              "`true` leaves out `event:`, so that a browser's one `onmessage` is told of all kinds.",
            ),
        }),
        headers: z.looseObject({ "last-event-id": eventId.optional() }),
        response: { 200: textAnswer("text/event-stream", "Events, for as long as it is open."), ...problems },
      },
    },
    async (request, reply) => {
      const token = request.caller?.id ?? "";
      reply.header("retry-after", AGAIN);
      hub.check(token);
      reply.removeHeader("retry-after");
      // The header is the newer one: a browser sends it when it comes back to the URL it began with.
      const { recent, plain } = request.query;
      const lastEventId = request.headers["last-event-id"] ?? request.query.lastEventId;
      reply.hijack();
      reply.raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        "content-type": "text/event-stream",
        // A proxy before it is not to collect what should come at once.
        "x-accel-buffering": "no",
      });
      endWithSession(request, reply.raw, sessions);
      await hub.add(reply.raw, token, { lastEventId, recent, plain: plain === "true" });
    },
  );
}
