/** Webhooks: from the stream of events to a real HTTP server, over a real queue. */
import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { type House, openHouse } from "../../src/runtime/house.ts";
import type { Service } from "../../src/runtime/service.ts";
import { startWebhooks } from "../../src/runtime/webhooks.ts";
import { keys, PREFIX } from "../../src/store/keys.ts";
import { removeLeftovers } from "../../src/webhooks/leftover.ts";
import type { WebhookSchedule } from "../../src/webhooks/service.ts";
import { type Answer, type ScriptedServer, startScripted } from "../support/scripted-http.ts";
import { makeSpec } from "../support/specs.ts";
import { tempDir, waitUntil } from "../support/temp.ts";
import { withRedis } from "../support/with-redis.ts";

const SECRET = Buffer.alloc(32, 7);
const FAST: WebhookSchedule = { retry: [100], giveUpAfter: 60_000, within: 500 };

interface Got {
  headers: IncomingMessage["headers"];
  body: string;
  path: string;
}

let redisUrl: string;
let receiver: ScriptedServer;
let script: (path: string, count: number, response: ServerResponse) => Answer | undefined;
let got: Got[];
let house: House;
let lines: string[];
let service: Service | undefined;

withRedis((_, server) => {
  redisUrl = server.url;
});

beforeEach(async () => {
  got = [];
  lines = [];
  script = () => ({ status: 204 });
  receiver = await startScripted((request, response) => {
    const one: Got = { headers: request.headers, body: "", path: request.url ?? "" };
    request.setEncoding("utf8").on("data", (chunk: string) => {
      one.body += chunk;
    });
    got.push(one);
    return script(one.path, got.filter(({ path }) => path === one.path).length, response);
  });
  const dir = tempDir("certherd-webhooks");
  const secretFile = join(dir, "secret");
  writeFileSync(secretFile, `whsec_${SECRET.toString("base64")}\n`);
  const hook = (name: string) => ({
    name,
    url: `${receiver.url}/${name}`,
    secretFile,
    events: ["issued", "attention"],
  });
  const file = join(dir, "certherd.yaml");
  writeFileSync(file, JSON.stringify({ webhooks: [hook("one"), hook("two")] }));
  const config = loadConfig({ REDIS_URL: redisUrl, CERTHERD_HOME: dir, CERTHERD_CONFIG: file });
  house = await openHouse(config, (line) => lines.push(line));
});

afterEach(async () => {
  await service?.close();
  service = undefined;
  await receiver.stop();
  await house.close();
});

async function start(schedule: Partial<WebhookSchedule> = {}): Promise<void> {
  service = startWebhooks(house, { ...FAST, ...schedule });
  await waitUntil(async () => (await house.redis.exists(keys.webhookCursor)) === 1);
}

const keysOfQueue = (hook: string): string => `${PREFIX}:webhook-${hook}:*`;

async function move(name: string, status: "issued" | "ordering" | "attention", what: string = status) {
  await house.certificates.accept([makeSpec(name)], { now: Date.now() });
  await house.certificates.transition(name, 1, { status, event: { what, detail: "why" } }, Date.now());
}

const at = (path: string): Got[] => got.filter((one) => one.path === path);

describe("webhooks", () => {
  it("are told what they asked for, once, signed", async () => {
    await move("before.example", "issued");
    await start();
    await move("a.example", "ordering");
    await move("b.example", "issued");
    await move("c.example", "attention", "failed");
    await waitUntil(() => at("/one").length === 2 && at("/two").length === 2);
    await waitUntil(() => at("/one").every(({ body }) => body !== ""));
    const bodies = at("/one").map(({ body }) => JSON.parse(body) as Record<string, unknown>);
    bodies.sort((a, b) => String(b.type).localeCompare(String(a.type)));
    const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(bodies).toEqual([
      {
        type: "certificate.issued",
        timestamp,
        data: { name: "b.example", what: "issued", detail: "why", status: "issued" },
      },
      {
        type: "certificate.attention",
        timestamp,
        data: { name: "c.example", what: "failed", detail: "why", status: "attention" },
      },
    ]);
    for (const { headers, body } of got) {
      const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
      const signature = createHmac("sha256", SECRET).update(signed).digest("base64");
      expect(headers["webhook-signature"]).toBe(`v1,${signature}`);
      expect(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1_000)).toBeLessThan(10);
    }
  });

  it("are told again after a 500, under the same id", async () => {
    script = (path, count) => ({ status: path === "/one" && count === 1 ? 500 : 200 });
    await start();
    await move("a.example", "issued");
    await waitUntil(() => at("/one").length === 2 && at("/two").length === 1);
    const [first, second] = at("/one");
    expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
    await waitUntil(() => second?.body === first?.body);
  });

  it("are given up on when the time is over; one that hangs or redirects delays no other", async () => {
    script = (path) => (path === "/one" ? undefined : { status: 302, headers: { location: "/elsewhere" } });
    await start({ giveUpAfter: 1_500, within: 300 });
    await move("a.example", "issued");
    await waitUntil(async () => (await house.redis.hget(keys.counters, "webhook_failed")) === "2");
    expect(at("/elsewhere")).toEqual([]);
    expect(at("/one").length).toBeGreaterThan(1);
    const log = lines.join("\n");
    expect(log).toMatch(/webhook one is not told of the event \S+, after \d+ tries: no answer within 0.3 s/);
    expect(log).toMatch(/webhook two .* it answered 302/);
  });

  it("lose nothing over a restart, and are told nothing twice", async () => {
    await start();
    await move("a.example", "issued");
    await waitUntil(() => got.length === 2);
    await service?.close();
    await move("b.example", "issued");
    await start();
    await waitUntil(() => got.length === 4);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(got).toHaveLength(4);
    expect(new Set(at("/two").map(({ headers }) => headers["webhook-id"])).size).toBe(2);
  });

  it("leave no queue behind when they are taken out of the configuration, on all hosts", async () => {
    const { redis, producer } = house;
    let now = 1_000_000;
    const tidy = (...names: string[]) =>
      removeLeftovers(
        {
          redis,
          producer,
          hooks: names.map((name) => ({ name })),
          clock: { now: () => now },
          log: (line) => lines.push(line),
        },
        60_000,
      );
    const queued = async (name: string) => (await redis.keys(keysOfQueue(name))).length > 0;
    const job = (event: string) => ({ event, body: "{}", since: now });
    for (const name of ["one", "gone"]) await producer.webhook(name, [job("1-0"), job("2-0")]);
    await tidy("one", "gone");
    now += 59_000;
    // Another host has it still.
    await tidy("gone");
    await tidy("one");
    now += 59_000;
    await tidy("one");
    expect([await queued("one"), await queued("gone")]).toEqual([true, true]);
    now += 2_000;
    await tidy("one");
    expect([await queued("one"), await queued("gone")]).toEqual([true, false]);
    expect(lines.join("\n")).toContain("The webhook gone is not configured any more");
    expect(await redis.zrange(keys.webhookQueues, "0", "-1")).toEqual(["one"]);
  });
});
