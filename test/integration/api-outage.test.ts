import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import {
  type AskOptions,
  csvOf,
  domains,
  json,
  problem,
  startTestApi,
  type TestApi,
} from "../support/api.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { waitUntil } from "../support/temp.ts";

beforeAll(async () => {
  await ensureTools(["redis"]);
});

describe("without Redis", () => {
  let own: RedisServer;
  let lost: TestApi;

  beforeEach(async () => {
    own = await startRedis({ appendOnly: true });
    lost = await startTestApi(own.url);
  });

  afterEach(async () => {
    await lost.stop();
    await own.stop();
  });

  async function quickly(path: string, options: AskOptions, within: number): Promise<void> {
    const start = Date.now();
    const answer = await lost.ask(path, options);
    await problem(answer, 503, "redis_unavailable");
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(Date.now() - start).toBeLessThan(within);
  }

  it("answers 503 at once while it is stopped, and works again when it is back", async () => {
    await own.kill9();
    await waitUntil(() => lost.house.redis.status !== "ready");
    await quickly("/readyz", { token: "" }, 1_500);
    for (const path of [
      "/v1/certificates",
      "/v1/certificates/a.example.com",
      "/metrics",
      "/queues/api/queues",
    ])
      await quickly(path, {}, 1_000);
    await quickly("/v1/certificates", { json: { names: ["a.example.com"] } }, 1_000);
    await quickly("/v1/imports", { csv: "a.example.com\n" }, 1_000);
    expect((await lost.ask("/healthz")).status).toBe(200);
    const document = await lost.ask("/openapi.json");
    expect(document.status).toBe(200);
    await document.arrayBuffer();
    await problem(await lost.ask("/metrics", { token: "guess" }), 401, "unauthorized");
    await own.restart();
    await waitUntil(async () => (await lost.ask("/readyz")).status === 200);
    expect((await lost.ask("/v1/certificates", { json: { names: ["a.example.com"] } })).status).toBe(202);
  });

  it("answers 503 in seconds while it hangs", async () => {
    expect((await lost.ask("/v1/certificates", { json: { names: ["a.example.com"] } })).status).toBe(202);
    const { import: id } = await json<{ import: string }>(
      await lost.ask("/v1/imports", { csv: csvOf(domains(5)) }),
    );
    process.kill(own.pid, "SIGSTOP");
    try {
      await Promise.all([
        quickly("/readyz", { token: "" }, 2_000),
        quickly("/v1/certificates", {}, 8_000),
        quickly("/v1/certificates", { json: { names: ["b.example.com"] } }, 8_000),
        quickly("/v1/imports", { csv: csvOf(domains(3_000, "late")) }, 8_000),
        quickly(`/v1/imports/${id}`, {}, 8_000),
        quickly("/metrics", {}, 8_000),
        quickly("/queues/api/queues", {}, 8_000),
      ]);
    } finally {
      process.kill(own.pid, "SIGCONT");
    }
    await waitUntil(async () => (await lost.ask("/readyz")).status === 200);
    const list = await lost.ask("/v1/certificates");
    expect(list.status).toBe(200);
    await list.arrayBuffer();
  });
});

describe("closing", () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await startRedis();
  });

  afterAll(async () => {
    await server.stop();
  });

  it("lets a request in hand end, and then refuses", async () => {
    const closing = await startTestApi(server.url);
    const answer = closing
      .ask("/v1/imports", { csv: csvOf(domains(5_000, "last")) })
      .then((got) => json<{ accepted: number }>(got));
    await waitUntil(async () => (await closing.house.certificates.count()) > 0);
    await closing.stop();
    expect((await answer).accepted).toBe(5_000);
    await expect(fetch(`${closing.url}/healthz`)).rejects.toThrow();
  });
});
