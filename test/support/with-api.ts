/** The API for a test file: one Redis for all tests, emptied before each, and an API of its own for each. */
import { afterEach, beforeEach } from "vitest";
import { startTestApi, type TestApi } from "./api.ts";
import type { RedisServer } from "./redis.ts";
import { withRedis } from "./with-redis.ts";

/**
 * Call it at the top of the file; `use` is given the API, and Redis, before each test. A test may stop it, and give `use`
 * another one: the one that was given last is stopped.
 */
export function withTestApi(
  use: (api: TestApi, server: RedisServer) => void,
  options: Parameters<typeof startTestApi>[1] = {},
): (yaml: string) => Promise<void> {
  let server: RedisServer;
  let api: TestApi;
  const start = async (given: typeof options): Promise<void> => {
    api = await startTestApi(server.url, given);
    use(api, server);
  };
  withRedis((_redis, started) => {
    server = started;
  });
  beforeEach(() => start(options));
  afterEach(() => api.stop());
  return async (yaml) => {
    await api.stop();
    await start({ yaml });
  };
}
