/** One Redis for a test file: there before the first test, empty before each, gone after the last. */
import { afterAll, beforeAll, beforeEach } from "vitest";
import type { Redis } from "../../src/store/redis.ts";
import { type RedisServer, startRedis } from "./redis.ts";

/** Call it at the top of the file; `use` is given a client, and the server, once they are there. */
export function withRedis(use: (redis: Redis, server: RedisServer) => void): void {
  let server: RedisServer;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    redis = server.client();
    use(redis, server);
  }, 120_000);
  beforeEach(async () => {
    await redis.flushall();
  });
  afterAll(async () => {
    await server.stop();
  });
}
