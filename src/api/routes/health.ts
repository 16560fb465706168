import type { FastifyInstance } from "fastify";
import type { Redis } from "../../store/redis.ts";
import { answers } from "../plugins/redis.ts";
import { redisUnavailable } from "../problems.ts";
import { health, problems } from "../schemas/common.ts";

/** Milliseconds in which Redis has to answer for this process to be of use. */
const READY_WITHIN = 1_000;

/** Whether the process lives, and whether it can work. Open, as those who ask have no token. */
export function healthRoutes(app: FastifyInstance, redis: Redis): void {
  const config = { access: "open", redis: false } as const;
  app.get(
    "/healthz",
    { config, schema: { summary: "Whether the process lives", response: { 200: health } } },
    async () => ({
      status: "alive",
    }),
  );
  app.get(
    "/readyz",
    { config, schema: { summary: "Whether Redis answers", response: { 200: health, ...problems } } },
    async () => {
      if (await answers(redis, READY_WITHIN)) return { status: "ready" };
      throw redisUnavailable();
    },
  );
}
