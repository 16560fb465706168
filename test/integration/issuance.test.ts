/** Orders that do not go straight through: a real Pebble, behind a gate that answers as a busier CA would. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Config, loadConfig } from "../../src/config/load.ts";
import { House } from "../../src/runtime/house.ts";
import type { Service } from "../../src/runtime/service.ts";
import { startRoles } from "../../src/runtime/up.ts";
import { keys } from "../../src/store/keys.ts";
import { openCheckedRedis } from "../../src/store/redis.ts";
import { type Answer, type Gate, startGate } from "../support/gate.ts";
import { makeLimits } from "../support/limits.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { refusal } from "../support/problem.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";

let redis: RedisServer;
let pebble: Pebble;
let gate: Gate;
let acmePort: number;
let house: House;
let service: Service | undefined;
let lines: string[];
/** What the gate answers in Pebble's place; told at each request. */
let answer: (kind: string) => Answer | undefined;

beforeAll(async () => {
  acmePort = await freePort();
  redis = await startRedis();
  pebble = await startPebble({ httpPort: acmePort, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
  const { directoryUrl: upstream, rootPath } = pebble;
  gate = await startGate({ upstream, rootPath, answer: (kind) => answer(kind) });
}, 120_000);

afterAll(async () => {
  await gate.stop();
  await pebble.stop();
  await redis.stop();
});

beforeEach(async () => {
  await redis.client().flushall();
  answer = () => undefined;
  lines = [];
});

afterEach(async () => {
  await service?.close();
  service = undefined;
  await house.close();
});

async function start(more: Partial<Config> = {}): Promise<void> {
  const ca = { CERTHERD_CA: gate.directoryUrl, CERTHERD_CA_ROOT: gate.rootPath };
  // The names are none that a resolver knows.
  const env = { ...ca, CERTHERD_PREFLIGHT: "off" };
  const config = loadConfig({ ...env, CERTHERD_HOME: tempDir("certherd-issue"), REDIS_URL: redis.url });
  const connection = await openCheckedRedis(redis.url, "issue");
  house = new House({ ...config, retry: [300], ...more }, connection, (line) => void lines.push(line));
  service = await startRoles(house, ["respond", "issue"]);
}

async function enqueue(...names: string[]): Promise<void> {
  await house.enqueuer.enqueue(names.map((name) => makeSpec(name, { acmePort })));
}

async function recordOf(name: string) {
  return await house.certificates.get(name);
}

async function untilIssued(...names: string[]): Promise<void> {
  for (const name of names)
    await waitUntil(async () => (await recordOf(name))?.status === "issued", {
      timeoutMs: 20_000,
      what: `${name} to be issued`,
    });
}

async function eventsOf(name: string): Promise<string[]> {
  return (await house.certificates.events(name)).map(({ what }) => what);
}

/** Of how many requests the gate was asked since, by kind. */
function counter(): (kind: string) => number {
  const before = gate.requests();
  return (kind) => (gate.requests()[kind] ?? 0) - (before[kind] ?? 0);
}

/** Answers so, as often as told, to one kind of request. */
function once(kind: string, own: Answer, times = 1): () => number {
  let left = times;
  answer = (asked) => (asked === kind && left-- > 0 ? own : undefined);
  return () => Math.max(0, left);
}

describe("a validation that fails", () => {
  it("is tried again by itself after the table's delay, with one new order, and then succeeds", async () => {
    await start();
    const count = counter();
    await pebble.dns.setServfail("broken.example");
    await enqueue("broken.example");
    await waitUntil(async () => (await recordOf("broken.example"))?.reason === "retry");
    expect(await recordOf("broken.example")).toMatchObject({ status: "waiting", attempts: 1 });
    await pebble.dns.clearServfail("broken.example");
    await untilIssued("broken.example");
    expect(count("newOrder")).toBe(2);
    expect(await recordOf("broken.example")).toMatchObject({ attempts: 0, generation: 2 });
    expect(await eventsOf("broken.example")).toEqual([
      "ordering",
      "validating",
      "failed",
      "ordering",
      "validating",
      "finalizing",
      "issued",
    ]);
  });

  it("is tried again where the process died before it had asked for that", async () => {
    await start();
    await pebble.dns.setServfail("died.example");
    await enqueue("died.example");
    await waitUntil(async () => (await recordOf("died.example"))?.reason === "retry");
    await service?.close();
    // As it stood between the two: failed, its generation not ended, its order's job still there.
    const record = await recordOf("died.example");
    if (record) await house.certificates.restore([{ ...record, generation: 1 }]);
    const account = house.config.cas[0].name;
    await house.producer.withdraw(account, { id: "died.example", generation: 2 });
    await house.producer.order(account, { id: "died.example", generation: 1 }, 50);
    await pebble.dns.clearServfail("died.example");
    const count = counter();
    service = await startRoles(house, ["respond", "issue"]);
    await untilIssued("died.example");
    expect(count("newOrder")).toBe(1);
  });
});

describe("a CA that is busy", () => {
  const busy = refusal("rateLimited", 503, { retryAfter: 1 });

  it.each(["challenge", "order", "certificate"])(
    "and says so at the order's request of kind %s is asked again, and not for another order",
    async (kind) => {
      await start();
      const count = counter();
      const left = once(kind, busy);
      const begun = performance.now();
      const name = `busy-${kind.toLowerCase()}.example`;
      await enqueue(name);
      await untilIssued(name);
      expect(left()).toBe(0);
      expect(count("newOrder")).toBe(1);
      expect(performance.now() - begun).toBeGreaterThan(1_000);
      expect(await recordOf(name)).toMatchObject({ generation: 1, attempts: 0 });
    },
  );

  it("and fails for no reason is asked again, and not for another order", async () => {
    await start();
    const count = counter();
    const failed = new Set<string>();
    answer = (kind) => {
      if (failed.has(kind) || !/^(authz|finalize)$/.test(kind)) return undefined;
      failed.add(kind);
      return {
        status: 502,
        rawHeaders: ["Content-Type", "text/html"],
        body: Buffer.from("<h1>Bad Gateway</h1>"),
      };
    };
    await enqueue("bad-gateway.example");
    await untilIssued("bad-gateway.example");
    expect(failed.size).toBe(2);
    expect(count("newOrder")).toBe(1);
    expect(await recordOf("bad-gateway.example")).toMatchObject({ attempts: 0 });
  });

  it("and sends what is no order is asked again", async () => {
    await start();
    const json = ["Content-Type", "application/json"];
    once("order", { status: 200, rawHeaders: json, body: Buffer.from('{"maintenance": true}') }, 2);
    await enqueue("nonsense.example");
    await untilIssued("nonsense.example");
  });
});

describe("a limit that the CA tells of at a new order", () => {
  const newOrders = { newOrders: { count: 1_000, period: 3_600_000 } };

  async function startLimited(): Promise<void> {
    const { cas } = loadConfig({ CERTHERD_CA: gate.directoryUrl, CERTHERD_CA_ROOT: gate.rootPath });
    await start({ cas: [{ ...cas[0], limits: makeLimits({ certificates: newOrders }) }] });
  }

  it("of one name holds up that name alone", async () => {
    await startLimited();
    const detail =
      'too many certificates (50) already issued for "full.example" in the last 168h0m0s, retry after 2026-08-28 14:00:00 UTC';
    once("newOrder", refusal("rateLimited", 429, { detail, retryAfter: 3_600 }));
    await enqueue("full.example");
    await waitUntil(async () => (await recordOf("full.example"))?.reason === "limit");
    const sentence = /allows no more certificates for names under full\.example now; its turn is at/;
    expect(await recordOf("full.example")).toMatchObject({
      status: "waiting",
      detail: expect.stringMatching(sentence),
      attempts: 0,
    });
    await enqueue("other.example");
    await untilIssued("other.example");
    expect((await recordOf("full.example"))?.status).toBe("waiting");
  });

  it("of the account holds up all, until then", async () => {
    await startLimited();
    const detail =
      "too many new orders (300) from this account in the last 3h0m0s, retry after 2026-08-28 14:00:00 UTC";
    const refused = refusal("rateLimited", 429, { detail, retryAfter: 2 });
    const at: number[] = [];
    answer = (kind) => {
      if (kind !== "newOrder") return undefined;
      at.push(performance.now());
      return at.length === 1 ? refused : undefined;
    };
    await enqueue("first.example");
    await waitUntil(async () => (await recordOf("first.example"))?.reason === "limit");
    await enqueue("second.example");
    await untilIssued("first.example", "second.example");
    expect(at).toHaveLength(3);
    const counted = async (field: string) => Number(await house.redis.hget(keys.tally, field));
    const account = house.config.cas[0].name;
    // Pebble's URLs do not say what they are for.
    await waitUntil(async () => (await counted(`requests|${account}|acme|429`)) === 1);
    await waitUntil(async () => (await counted(`requests|${account}|acme|2xx`)) > 10);
    expect(await counted(`limited|${account}|newOrders`)).toBe(1);
    for (const what of ["orders", "issued"]) expect(await counted(`${what}|${account}`)).toBe(2);
    const [first = 0, second = 0, third = 0] = at;
    expect(second - first).toBeGreaterThanOrEqual(2_000);
    // From then on there is one for each part of the period, of 3.6 s.
    expect(third - second).toBeGreaterThan(3_000);
  });
});

describe("an account that the CA has forgotten", () => {
  it("is registered again once, however many orders are in flight", async () => {
    await start();
    await enqueue("before.example");
    await untilIssued("before.example");
    const unknown = refusal("accountDoesNotExist", 400);
    let forgotten = true;
    const count = counter();
    answer = (kind) => {
      if (kind === "newAccount") forgotten = false;
      return forgotten && /^(newOrder|authz|order)$/.test(kind) ? unknown : undefined;
    };
    const names = Array.from({ length: 8 }, (_, i) => `again-${i}.example`);
    await enqueue(...names);
    await untilIssued(...names);
    expect(count("newAccount")).toBe(1);
    expect(await house.stops.reason(house.config.cas[0].name)).toBeUndefined();
  });
});

it("what is issued is on disk with its key, for exactly its names", async () => {
  await start();
  const names = ["many.example", "www.many.example", "xn--mller-kva.example"];
  await house.enqueuer.enqueue([makeSpec(names, { acmePort, keyType: "ec384" })]);
  await untilIssued("many.example");
  const { cert, key } = house.certificateFiles.paths("many.example");
  const leaf = new X509Certificate(readFileSync(cert));
  expect(leaf.checkPrivateKey(createPrivateKey(readFileSync(key)))).toBe(true);
  expect(leaf.publicKey.asymmetricKeyDetails?.namedCurve).toBe("secp384r1");
  expect(leaf.subjectAltName?.split(", ").sort()).toEqual(names.map((name) => `DNS:${name}`).sort());
  expect((await recordOf("many.example"))?.leaf?.serial).toBe(leaf.serialNumber);
});
