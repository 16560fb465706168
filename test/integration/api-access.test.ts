/** Who may do what, and what operators look at. */
import { readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { AppError } from "../../src/core/errors.ts";
import { queueNames } from "../../src/queue/names.ts";
import { startApi } from "../../src/runtime/api.ts";
import { openHouse } from "../../src/runtime/house.ts";
import { keys } from "../../src/store/keys.ts";
import {
  type AskOptions,
  csvOf,
  domains,
  json,
  problem,
  startTestApi,
  type TestApi,
  TOKENS,
} from "../support/api.ts";
import type { RedisServer } from "../support/redis.ts";
import { freePort, tempDir } from "../support/temp.ts";
import { withTestApi } from "../support/with-api.ts";

let server: RedisServer;
let api: TestApi;

withTestApi((started, redis) => {
  api = started;
  server = redis;
});

const ask = (path: string, options?: AskOptions): Promise<Response> => api.ask(path, options);

/** Who looks at the status alone reads the rest, too: a long answer that nobody reads keeps its connection open. */
async function read(...asked: Parameters<typeof ask>): Promise<Response> {
  const answer = await ask(...asked);
  await answer.arrayBuffer();
  return answer;
}

describe("access", () => {
  it("is open for /healthz and /readyz alone", async () => {
    expect(await json(await ask("/healthz", { token: "" }))).toEqual({ status: "alive" });
    expect(await json(await ask("/readyz", { token: "" }))).toEqual({ status: "ready" });
    for (const path of [
      "/v1/certificates",
      "/v1/imports/x",
      "/metrics",
      "/openapi.json",
      "/queues",
      "/nowhere",
      "/",
    ]) {
      const answer = await ask(path, { token: "" });
      expect(answer.headers.get("www-authenticate")).toContain("Bearer");
      await problem(answer, 401, "unauthorized");
    }
  });

  it("takes tokens in the header alone", async () => {
    const wrong = await ask("/metrics", { token: "guess" });
    expect(wrong.headers.get("www-authenticate")).toContain("invalid_token");
    await problem(wrong, 401, "unauthorized");
    const query = `access_token=${TOKENS.admin}&token=${TOKENS.admin}`;
    await problem(await ask(`/v1/certificates?${query}`, { token: "" }), 401, "unauthorized");
    const authorization = `Basic ${Buffer.from(`x:${TOKENS.admin}`).toString("base64")}`;
    await problem(await ask("/metrics", { token: "", headers: { authorization } }), 401, "unauthorized");
  });

  it("keeps to scopes", async () => {
    const json = { names: ["a.example.com"] };
    const csv = "a.example.com\n";
    await problem(await ask("/v1/certificates", { token: TOKENS.read, json }), 403, "forbidden");
    await problem(await ask("/v1/imports", { token: TOKENS.read, csv }), 403, "forbidden");
    for (const path of ["/v1/certificates", "/metrics", "/queues"])
      await problem(await ask(path, { token: TOKENS.enqueue }), 403, "forbidden");
    for (const path of ["/v1/certificates", "/metrics", "/queues", "/openapi.json"])
      expect((await read(path, { token: TOKENS.read })).status).toBe(200);
    expect((await read("/v1/certificates", { token: TOKENS.enqueue, json })).status).toBe(202);
    expect((await read("/openapi.json", { token: TOKENS.enqueue })).status).toBe(200);
  });

  it("answers a caller whose token is wrong before the whole body has come", async () => {
    const csv = csvOf(domains(10_000));
    await problem(await ask("/v1/imports", { csv, token: "guess" }), 401, "unauthorized");
  });

  it("answers unknown routes by a problem", async () => {
    await problem(await ask("/v2/certificates"), 404, "not_found");
    await problem(await ask("/v1/certificates/%zz"), 400, "bad_request");
    await problem(await ask("/v1/certificates", { method: "PUT", json: {} }), 404, "not_found");
  });
});

describe("/metrics and /openapi.json", () => {
  it("count what there is", async () => {
    await ask("/v1/imports", { csv: csvOf(domains(3)) });
    await api.house.redis.hincrby(keys.counters, "mail_failed", 2);
    const day = 86_400_000;
    for (const [name, days] of [
      ["a", -1],
      ["b", 10],
      ["c", 20],
    ] as const)
      await api.house.redis.zadd(keys.expiries, Date.now() + days * day, name);
    await api.house.nodes.fault({ name: "lb1", vipPort: 443 }, "away", Date.now());
    const stop = await api.house.alive.beat(["issue"], "node:1");
    const answer = await ask("/metrics");
    expect(answer.headers.get("content-type")).toContain("text/plain");
    const text = await answer.text();
    for (const line of [
      'certherd_certificates{status="queued"} 3',
      'certherd_certificates{status="serving"} 0',
      'certherd_queue_jobs{queue="admit-letsencrypt-staging",state="prioritized"} 3',
      'certherd_workers_alive{role="issue"} 1',
      'certherd_workers_alive{role="renew"} 0',
      'certherd_failures_total{kind="mail_failed"} 2',
      'certherd_certificates_expiring{within="7d"} 0',
      'certherd_certificates_expiring{within="14d"} 1',
      'certherd_certificates_expiring{within="30d"} 2',
      "certherd_certificates_expired 1",
      'certherd_limit_remaining{account="letsencrypt-staging",limit="newOrders"} 1500',
      'certherd_account_stopped{account="letsencrypt-staging",why="refused"} 0',
      'certherd_node_fault{node="lb1",port="443"} 1',
      "certherd_event_clients 0",
    ])
      expect(text).toContain(`${line}\n`);
    expect(text).toContain("process_resident_memory_bytes");
    expect(await (await ask("/metrics")).text()).toContain('certherd_failures_total{kind="mail_failed"} 2\n');
    await stop();
  });

  it("describe every route", async () => {
    const document = await json<{
      openapi: string;
      paths: Record<string, Record<string, Record<string, unknown>>>;
    }>(await ask("/openapi.json"));
    expect(document.openapi).toMatch(/^3\.1/);
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining([
        "/healthz",
        "/metrics",
        "/readyz",
        "/v1/audit",
        "/v1/certificates",
        "/v1/certificates/{name}",
        "/v1/certificates/{name}/pause",
        "/v1/certificates/{name}/renew",
        "/v1/certificates/{name}/resume",
        "/v1/certificates/{name}/retry",
        "/v1/certificates/{name}/revoke",
        "/v1/events",
        "/v1/imports",
        "/v1/imports/{id}",
        "/v1/limits",
      ]),
    );
    const { post, get } = document.paths["/v1/certificates"] ?? {};
    expect(JSON.stringify(post?.requestBody)).toContain('"vipPort"');
    expect(JSON.stringify(get?.parameters)).toContain('"cursor"');
    expect(JSON.stringify(document.paths["/v1/imports"]?.post?.requestBody)).toContain("text/csv");
  });
});

describe("/queues", () => {
  const PAUSE = `/queues/api/queues/${queueNames.admit("letsencrypt-staging")}/pause`;

  it("asks browsers for a password, which is the token", async () => {
    const answer = await ask("/queues", { token: "" });
    expect(answer.headers.get("www-authenticate")).toMatch(/Basic realm.*Bearer/);
    await problem(answer, 401, "unauthorized");
    await problem(await ask(PAUSE, { method: "PUT", token: "" }), 401, "unauthorized");
    const authorization = `Basic ${Buffer.from(`anybody:${TOKENS.read}`).toString("base64")}`;
    const page = await ask("/queues", { token: "", headers: { authorization } });
    expect(page.status).toBe(200);
    const html = await page.text();
    expect(html).toContain("Certherd queues");
    const script = /src="([^"]+\.js)"/.exec(html)?.[1] ?? "";
    const asset = new URL(script, `${api.url}/queues/`);
    await problem(await fetch(asset), 401, "unauthorized");
    const loaded = await fetch(asset, { headers: { authorization } });
    expect(loaded.headers.get("content-type")).toContain("javascript");
    await loaded.arrayBuffer();
  });

  it("shows all queues", async () => {
    const { queues } = await json<{ queues: { name: string; readOnlyMode: boolean }[] }>(
      await ask("/queues/api/queues", { token: TOKENS.read }),
    );
    expect(queues.map(({ name }) => name).sort()).toEqual([
      "admit-letsencrypt-staging",
      "check-letsencrypt-staging",
      "notify",
      "order-letsencrypt-staging",
      "renew-letsencrypt-staging",
    ]);
    expect(queues.every(({ readOnlyMode }) => readOnlyMode)).toBe(true);
    const asAdmin = await json<{ queues: { readOnlyMode: boolean; allowRetries: boolean }[] }>(
      await ask("/queues/api/queues"),
    );
    expect(asAdmin.queues.every(({ readOnlyMode, allowRetries }) => !readOnlyMode && allowRetries)).toBe(
      true,
    );
  });

  it("lets admins alone change anything, and no other site", async () => {
    const queue = api.house.producer.queue(queueNames.admit("letsencrypt-staging"));
    expect((await ask(PAUSE, { method: "PUT", token: TOKENS.read })).status).toBe(405);
    await ask("/queues/api/queues/pause", { method: "PUT", token: TOKENS.read });
    const headers = { "sec-fetch-site": "cross-site" };
    await problem(await ask(PAUSE, { method: "PUT", headers }), 403, "forbidden");
    expect(await queue.isPaused()).toBe(false);
    expect((await ask(PAUSE, { method: "PUT" })).status).toBe(200);
    expect(await queue.isPaused()).toBe(true);
    await queue.resume();
    const { entries } = await json<{ entries: object[] }>(await ask("/v1/audit"));
    expect(entries).toEqual([
      { at: expect.any(String), by: "api:full", action: "change jobs", detail: `PUT ${PAUSE}` },
    ]);
  });
});

describe("a token of its own", () => {
  it("is made once, for its owner alone, and never logged", async () => {
    const env = {
      CERTHERD_HOME: tempDir("certherd-own"),
      REDIS_URL: server.url,
      CERTHERD_LISTEN: "127.0.0.1:0",
    };
    const start = async () => {
      const lines: string[] = [];
      const house = await openHouse(loadConfig(env), (line) => lines.push(line));
      const service = await startApi(house);
      const close = async () => {
        await service.close();
        await house.close();
      };
      return { lines, url: service.url, close };
    };
    const first = await start();
    const path = join(env.CERTHERD_HOME, "api-token");
    const token = readFileSync(path, "utf8").trim();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(token.length).toBeGreaterThan(30);
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${first.url}/metrics`, { headers })).status).toBe(200);
    expect(first.lines.join("\n")).toContain(path);
    expect(first.lines.join("\n")).not.toContain(token);
    await first.close();
    const second = await start();
    expect((await fetch(`${second.url}/metrics`, { headers })).status).toBe(200);
    expect((await fetch(`${second.url}/metrics`)).status).toBe(401);
    await second.close();
  });
});

describe("its port", () => {
  let other: Server | undefined;

  afterEach(() => {
    other?.close();
  });

  it("may be taken, and then the error says so", async () => {
    const port = await freePort();
    other = createServer().listen(port, "127.0.0.1");
    const error = await startTestApi(server.url, { env: { CERTHERD_LISTEN: `127.0.0.1:${port}` } }).catch(
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof AppError)) throw error;
    expect(error.disposition).toBe("usage");
    expect(error.message).toContain(`Port ${port} on 127.0.0.1 is taken; set CERTHERD_LISTEN`);
  });
});
