/** GET /v1/events: real sockets, a real Redis. */
import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { StreamedEvent } from "../../src/store/event-stream.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { problem, startTestApi, type TestApi, TOKENS } from "../support/api.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { listenTo, type SseClient } from "../support/sse.ts";
import { waitUntil } from "../support/temp.ts";

let server: RedisServer;
let api: TestApi;
const clients: SseClient[] = [];

beforeAll(async () => {
  server = await startRedis({ appendOnly: true });
});

afterAll(async () => await server.stop());

beforeEach(async () => {
  const sha256 = createHash("sha256").update("other-token").digest("hex");
  api = await startTestApi(server.url, { yaml: `  - { name: other, sha256: ${sha256}, scopes: [read] }` });
  await api.house.redis.flushall();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await api.stop();
});

interface ListenOptions {
  lastEventId?: string;
  read?: boolean;
  token?: string;
  query?: string;
}

async function listen(options: ListenOptions = {}) {
  const { token = TOKENS.read, query = "", ...rest } = options;
  const client = await listenTo(`${api.url}/v1/events${query}`, token, rest);
  clients.push(client);
  return client;
}

/** Events as the store writes them: of one certificate that moves on. */
async function happen(count: number, detail = "", redis: Redis = api.house.redis): Promise<void> {
  const pipeline = redis.pipeline();
  for (let index = 0; index < count; index++)
    pipeline.xadd(
      keys.events("all"),
      "*",
      "id",
      "_.example.com",
      "event",
      JSON.stringify({ at: "2026-08-28T14:15:01Z", what: "not served", detail: `${index} ${detail}` }),
      "status",
      "",
    );
  await pipeline.exec();
}

const numbers = ({ events }: SseClient): number[] =>
  events
    .filter(({ event }) => event !== "reset")
    .map(({ data = "{}" }) => Number.parseInt((JSON.parse(data) as StreamedEvent).detail ?? "", 10));
const upTo = (count: number, from = 0): number[] =>
  Array.from({ length: count - from }, (_, index) => from + index);

describe("events", () => {
  it("begin with so many of the newest ones, without kinds, where a page asks for that", async () => {
    await happen(30);
    const page = await listen({ query: "?plain=true&recent=12" });
    await waitUntil(() => page.events.length === 12);
    await happen(1);
    await waitUntil(() => page.events.length === 13);
    expect(numbers(page)).toEqual([...upTo(30, 18), 0]);
    expect(page.events.every(({ event, id }) => event === undefined && id !== undefined)).toBe(true);
    const all = await listen({ query: "?recent=100" });
    await waitUntil(() => all.events.length === 31);
    expect(all.events.every(({ event }) => event === "not_served")).toBe(true);
    // What it has seen counts more than how many it would like.
    const back = await listen({ query: "?recent=12", lastEventId: page.events[11]?.id ?? "" });
    await waitUntil(() => back.events.length === 1);
    await problem(await api.ask("/v1/events?recent=0"), 422, "invalid_request");
  });

  it("come as they happen, by kind, with the status that they lead to", async () => {
    const client = await listen();
    expect(client.status).toBe(200);
    expect(client.response.headers).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
    await waitUntil(() => client.text().includes("retry: "));
    const { certificates } = api.house;
    await certificates.accept([makeSpec("*.example.com")], { now: Date.now() });
    const move = (change: Parameters<typeof certificates.transition>[2]) =>
      certificates.transition("_.example.com", 1, change, Date.UTC(2026, 7, 28));
    await move({ status: "ordering", event: { what: "ordering" } });
    await move({ status: "attention", event: { what: "failed", detail: "no\nluck" } });
    await waitUntil(() => client.events.length === 2);
    const [first, second] = client.events;
    const newest = await api.house.redis.xrevrange(keys.events("all"), "+", "-", "COUNT", 1);
    const at = "2026-08-28T00:00:00Z";
    expect(first?.event).toBe("ordering");
    expect(JSON.parse(first?.data ?? "")).toEqual({
      at,
      name: "*.example.com",
      what: "ordering",
      status: "ordering",
    });
    expect(second).toMatchObject({ event: "attention", id: newest[0]?.[0] });
    expect(JSON.parse(second?.data ?? "")).toMatchObject({ what: "failed", detail: "no\nluck" });
  });

  it("go on after the last one that was seen, with none lost and none twice", async () => {
    await happen(450);
    const all = await api.house.redis.xrange(keys.events("all"), "-", "+");
    const writing = (async () => {
      for (let round = 0; round < 20; round++) await happen(25, "", api.house.redis);
    })();
    const client = await listen({ lastEventId: all[99]?.[0] ?? "" });
    await writing;
    await waitUntil(() => client.events.length === 350 + 500);
    const ids = client.events.map(({ id }) => id);
    expect(new Set(ids).size).toBe(850);
    expect(numbers(client).slice(0, 350)).toEqual(upTo(450, 100));
    const byQuery = await listenTo(`${api.url}/v1/events?lastEventId=${all[448]?.[0]}`, TOKENS.read, {});
    clients.push(byQuery);
    await waitUntil(() => byQuery.events.length === 501);
  });

  it("begin with a reset where some are gone, or where Redis is another one", async () => {
    await happen(10);
    await api.house.redis.xtrim(keys.events("all"), "MAXLEN", 5);
    const client = await listen({ lastEventId: "1-0" });
    await waitUntil(() => client.events.length === 6);
    expect(client.events[0]?.event).toBe("reset");
    expect(numbers(client)).toEqual(upTo(10, 5));
    const ahead = await listen({ lastEventId: "99999999999999-0" });
    await waitUntil(() => ahead.events[0]?.event === "reset");
    await happen(1);
    await waitUntil(() => numbers(ahead).length === 1);
  });

  it("are for those who may read, and a bad id is refused", async () => {
    await problem(await api.ask("/v1/events", { token: "" }), 401, "unauthorized");
    await problem(await api.ask("/v1/events", { token: TOKENS.enqueue }), 403, "forbidden");
    const headers = { "last-event-id": "yesterday" };
    await problem(await api.ask("/v1/events", { headers }), 422, "invalid_request");
    await problem(await api.ask("/v1/events?lastEventId=x"), 422, "invalid_request");
  });

  it("go on when Redis was away", async () => {
    const client = await listen();
    await happen(1);
    await waitUntil(() => client.events.length === 1);
    await server.restart();
    await waitUntil(() => api.house.redis.status === "ready");
    await happen(2);
    await waitUntil(() => client.events.length === 3);
  });

  it("end with the server, at once", async () => {
    const client = await listen();
    await happen(1);
    await waitUntil(() => client.events.length === 1);
    const ended = new Promise((resolve) => client.response.once("end", resolve));
    const start = Date.now();
    await api.stop();
    await ended;
    expect(Date.now() - start).toBeLessThan(3_000);
    api = await startTestApi(server.url);
  });
});

describe("1,000 clients that stop reading", () => {
  it("cost bounded memory, disturb nobody, and are cut off", async () => {
    for (const token of [TOKENS.read, "other-token"])
      for (let from = 0; from < 500; from += 50)
        await Promise.all(Array.from({ length: 50 }, () => listen({ token, read: false })));
    const refused = await api.ask("/v1/events", { token: TOKENS.read });
    expect(refused.headers.get("retry-after")).toBe("30");
    await problem(refused, 429, "too_many_streams");
    const reader = await listen({ token: TOKENS.admin });
    global.gc?.();
    const before = process.memoryUsage();
    let most = 0;
    const filler = "x".repeat(2_000);
    for (let round = 0; round < 60; round++) {
      await happen(100, filler);
      await waitUntil(() => reader.events.length === (round + 1) * 100, { timeoutMs: 20_000 });
      most = Math.max(most, process.memoryUsage().rss - before.rss);
    }
    const answer = await api.ask("/v1/certificates");
    expect(answer.status).toBe(200);
    expect(numbers(reader)).toEqual(Array.from({ length: 60 }, () => upTo(100)).flat());
    // 12 MB for each of 1,000 would be 12 GB: what waits is shared, and little of it.
    expect(most).toBeLessThan(400 * 1024 * 1024);
    await waitUntil(async () => /certherd_event_clients 1\n/.test(await (await api.ask("/metrics")).text()));
    const metrics = await (await api.ask("/metrics")).text();
    expect(metrics).toContain("certherd_event_clients_cut_off_total 1000\n");
  });
});
