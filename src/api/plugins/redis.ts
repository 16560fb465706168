import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { Redis } from "../../store/redis.ts";
import { redisUnavailable } from "../problems.ts";
import { PATIENCE } from "../time-limit.ts";

/** Milliseconds between two looks. */
const LOOK = 500;

/** Refuses at once what cannot be answered while the connection is down. */
export function requireRedis(app: FastifyInstance, redis: Redis): void {
  app.addHook("onRequest", async (request) => {
    if (request.is404 || request.routeOptions.config.redis === false) return;
    if (redis.status !== "ready") throw redisUnavailable();
  });
}

/** Whether Redis answers within so many milliseconds. */
export async function answers(redis: Redis, within: number): Promise<boolean> {
  if (redis.status !== "ready") return false;
  const late = new AbortController();
  try {
    return await Promise.race([
      redis.ping().then(
        () => true,
        () => false,
      ),
      sleep(within, false, { signal: late.signal }),
    ]);
  } finally {
    late.abort();
  }
}

/**
 * The outcome of work that may take any time, as long as Redis goes on answering. Work that is given up on goes on
 * behind the scenes, or stands still until Redis is back.
 */
export async function whileRedisAnswers<T>(redis: Redis, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let waiting = false;
  let misses = 0;
  const silence = new Promise<never>((_, reject) => {
    // Counted in looks, not in time: when this process itself stood still, Redis is not to blame.
    timer = setInterval(() => {
      misses = waiting ? misses + 1 : 0;
      if (misses * LOOK >= PATIENCE) reject(redisUnavailable());
      if (waiting) return;
      waiting = true;
      redis.ping().then(
        () => {
          waiting = false;
        },
        // It stays silent: the connection was closed.
        () => undefined,
      );
    }, LOOK);
  });
  try {
    return await Promise.race([work, silence]);
  } finally {
    clearInterval(timer);
  }
}
