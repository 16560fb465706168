import type { FastifyInstance } from "fastify";
import { redisUnavailable } from "./problems.ts";

/** Milliseconds for which a request waits for Redis. Commands themselves wait for ever (see store/redis.ts). */
export const PATIENCE = 5_000;

/**
 * Gives every handler a time limit, but for those that may take any time. Fastify's own handlerTimeout (5.12)
 * is called off when the body has been read, so that it never comes to a POST: github.com/fastify/fastify/pull/6725
 */
export function limitHandlers(app: FastifyInstance): void {
  app.addHook("onRoute", (route) => {
    if (route.config?.anyTime) return;
    const { handler } = route;
    route.handler = async function (request, reply) {
      return await inTime(Promise.resolve(handler.call(this, request, reply)));
    };
  });
}

/** The outcome of a step that is done at once if Redis is there. One that is given up on goes on by itself. */
export async function inTime<T>(work: Promise<T>, onLate?: () => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      onLate?.();
      reject(redisUnavailable());
    }, PATIENCE);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
