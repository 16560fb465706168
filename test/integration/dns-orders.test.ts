/** Orders by dns-01, turn by turn: Pebble asks BIND, and what is set there is taken away again. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Dns01Config } from "../../src/config/dns.ts";
import { certificateId } from "../../src/core/certificate.ts";
import { orderHandler } from "../../src/issuance/order.ts";
import type { DnsChallenges, IssuanceDeps } from "../../src/issuance/ports.ts";
import type { OrderJob } from "../../src/queue/names.ts";
import { Checks } from "../../src/runtime/check.ts";
import { DnsInHouse } from "../../src/runtime/dns01.ts";
import { DnsRecords } from "../../src/store/dns-records.ts";
import { type Bind, startBind } from "../support/bind.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { freePort, waitUntil } from "../support/temp.ts";

const ZONE = "example.test";
const NAME = `_acme-challenge.${ZONE}`;
const RECORDS = "{certherd}:dnsrecords";
const NAMES = [`*.${ZONE}`, ZONE];
const ID = certificateId(`*.${ZONE}`);

let redis: RedisServer;
let bind: Bind;
let pebble: Pebble;
let opened: TestHouse;

beforeAll(async () => {
  redis = await startRedis();
  const alias = "_acme-challenge.shop IN CNAME shop.acme.test.";
  bind = await startBind({
    zones: [{ name: ZONE, records: [alias] }, { name: "acme.test" }, { name: "locked.test", updates: false }],
  });
  pebble = await startPebble({
    httpPort: await freePort(),
    dnsServer: bind.primary,
    env: { PEBBLE_WFE_NONCEREJECT: "0" },
  });
}, 120_000);

afterAll(async () => {
  await Promise.all([pebble.stop(), bind.stop(), redis.stop()]);
});

function dns01(more: Partial<Dns01Config> = {}): Dns01Config {
  const { name, secret } = bind.key;
  return {
    providers: [
      {
        name: "bind",
        zones: [ZONE, "acme.test", "locked.test"],
        servers: [],
        driver: {
          kind: "rfc2136",
          server: { address: "127.0.0.1", port: bind.port },
          key: { name, algorithm: "hmac-sha256", secret: Buffer.from(secret, "base64") },
          ttl: 1,
          transport: "tcp",
          timeout: 3_000,
        },
      },
    ],
    propagation: { timeout: 10_000, every: 200, port: bind.port },
    resolvers: [bind.primary],
    ...more,
  };
}

async function open(more: Partial<Dns01Config> = {}): Promise<void> {
  await redis.client().flushall();
  const env = { CERTHERD_CA: pebble.directoryUrl, CERTHERD_CA_ROOT: pebble.rootPath };
  opened = await openTestHouse(redis.url, env, { dns: [bind.primary], dns01: dns01(more) });
}

beforeEach(async () => await open());
afterEach(async () => {
  await removeAll();
  await opened.close();
});

/** Every record that is noted, whether it is due or not. */
async function removeAll(): Promise<void> {
  const client = redis.client();
  for (const record of await client.zrange(RECORDS, "0", "-1")) await client.zadd(RECORDS, 1, record);
  await new DnsInHouse(opened.house).sweep();
}

async function accept(...names: string[]): Promise<OrderJob> {
  const { certificates } = opened.house;
  await certificates.accept([makeSpec(names, { challenge: "dns-01" })], { now: Date.now() });
  return { id: certificateId(names[0] ?? ""), generation: 1 };
}

function turnOf(more: Partial<IssuanceDeps> = {}) {
  const handle = orderHandler(opened.deps(more));
  return (job: OrderJob) =>
    handle(job, { signal: new AbortController().signal, priority: 50, save: async () => undefined });
}

/** To its end, as the queue would have it. */
async function run(job: OrderJob, turn = turnOf()): Promise<void> {
  for (let next = job; ; ) {
    const outcome = await turn(next);
    if (outcome.kind !== "later") return;
    next = outcome.data ?? next;
    await sleep(Math.max(0, outcome.at - Date.now()));
  }
}

const status = async (id = ID) => await opened.house.certificates.get(id);

it("a wildcard and its base are two values at one name, and are gone when the certificate is there", async () => {
  await run(await accept(...NAMES));
  expect(await status()).toMatchObject({ status: "issued", attempts: 0, spec: { names: NAMES } });
  expect(await bind.txt(NAME)).toHaveLength(2);
  await new DnsInHouse(opened.house).sweep();
  expect(await bind.txt(NAME)).toEqual([]);
});

it("a CNAME is followed, and nothing is set beside it", async () => {
  await run(await accept(`*.shop.${ZONE}`));
  expect(await status(`_.shop.${ZONE}`)).toMatchObject({ status: "issued" });
  expect(await bind.txt("shop.acme.test")).toHaveLength(1);
  await new DnsInHouse(opened.house).sweep();
  expect(await bind.txt("shop.acme.test")).toEqual([]);
});

it("thirty at once, of three names each, get through", async () => {
  const jobs: OrderJob[] = [];
  for (let n = 0; n < 30; n++)
    jobs.push(await accept(`*.c${n}.${ZONE}`, `c${n}.${ZONE}`, `x.y.c${n}.${ZONE}`));
  const turn = turnOf();
  await Promise.all(jobs.map((job) => run(job, turn)));
  for (const { id } of jobs) expect(await status(id)).toMatchObject({ status: "issued" });
  await new DnsInHouse(opened.house).sweep();
  expect(await redis.client().zcard(RECORDS)).toBe(0);
}, 120_000);

describe("the CA is not told", () => {
  it("before every name server has the record; a server that is down is named, and nothing is left", async () => {
    await open({ propagation: { timeout: 1_500, every: 200, port: bind.port } });
    const before = pebble.requests().challenge ?? 0;
    await bind.stopSecondary();
    await run(await accept(...NAMES));
    await bind.startSecondary();
    expect(await status()).toMatchObject({
      status: "waiting",
      reason: "retry",
      error: {
        code: "dns_not_propagated",
        detail: expect.stringContaining(`ns2.${ZONE} (127.0.0.2:${bind.port}) refuses the connection`),
      },
    });
    expect(pebble.requests().challenge ?? 0).toBe(before);
    await new DnsInHouse(opened.house).sweep();
    expect(await bind.txt(NAME)).toEqual([]);
  });

  it("of a name without a provider, for which nothing is ordered", async () => {
    const before = pebble.requests().newOrder ?? 0;
    await run(await accept("*.strange.test"));
    expect(await status("_.strange.test")).toMatchObject({
      status: "attention",
      reason: "person",
      error: { code: "dns_provider_missing", identifier: "*.strange.test" },
    });
    expect(pebble.requests().newOrder ?? 0).toBe(before);
  });

  it("of one whose server refuses the change", async () => {
    await run(await accept("*.locked.test"));
    expect(await status("_.locked.test")).toMatchObject({
      status: "attention",
      error: { code: "dns_update_refused", detail: expect.stringContaining("update-policy") },
    });
  });
});

describe("after a crash", () => {
  it("between noting and setting, between setting and answering: the order goes on, with the same record", async () => {
    const job = await accept(ZONE);
    const house = new DnsInHouse(opened.house);
    let set = false;
    const dying: DnsChallenges = {
      propagation: house.propagation,
      place: (name) => house.place(name),
      prolong: (...args) => house.prolong(...args),
      missing: (answers) => house.missing(answers),
      done: (answers) => house.done(answers),
      present: async (answers, until) => {
        await new DnsRecords(opened.house.redis).keep(answers, until);
        set = true;
        await new Promise(() => undefined);
      },
    };
    void turnOf({ dns: dying })(job);
    await waitUntil(() => set, { what: "the record to be noted" });
    expect(await redis.client().zcard(RECORDS)).toBe(1);
    const orders = pebble.requests().newOrder;
    expect(await turnOf()(job)).toMatchObject({
      kind: "later",
      data: { dns: { records: [{ name: NAME }] } },
    });
    // What the job had to remember is lost, too.
    await run(job);
    expect(await status(ZONE)).toMatchObject({ status: "issued" });
    expect(pebble.requests().newOrder).toBe(orders);
    expect(await redis.client().zcard(RECORDS)).toBe(1);
  });

  it("what nobody comes back to is removed when its time is over, and not before", async () => {
    const turn = turnOf();
    await turn(await accept(...NAMES));
    expect(await bind.txt(NAME)).toHaveLength(2);
    await opened.house.certificates.transition(ID, 1, { status: "removed" }, Date.now());
    await new DnsInHouse(opened.house).sweep();
    expect(await bind.txt(NAME)).toHaveLength(2);
    const later = { now: () => Date.now() + 3_600_000 + 1_000 };
    const { config, redis: connection, log } = opened.house;
    const dns = new DnsInHouse({ config, redis: connection, log, clock: systemAfter(later.now) });
    await dns.sweep();
    expect(await bind.txt(NAME)).toEqual([]);
  });

  it("what was removed while its order had to wait is set again", async () => {
    const turn = turnOf();
    const outcome = await turn(await accept(...NAMES));
    if (outcome.kind !== "later" || !outcome.data?.dns) throw new Error("nothing was set");
    const house = new DnsInHouse(opened.house);
    await house.done(outcome.data.dns.records);
    await house.sweep();
    expect(await bind.txt(NAME)).toEqual([]);
    await run(outcome.data, turn);
    expect(await status()).toMatchObject({ status: "issued" });
  });

  it("what cannot be removed is tried again", async () => {
    await turnOf()(await accept(ZONE));
    const { config, redis: connection, clock } = opened.house;
    const lines: string[] = [];
    const without = { ...config, dns01: { ...config.dns01, providers: [] } };
    const records = await redis.client().zrange(RECORDS, "0", "-1");
    await redis.client().zadd(RECORDS, 1, records[0] ?? "");
    const lost = new DnsInHouse({
      config: without,
      redis: connection,
      clock,
      log: (line) => lines.push(line),
    });
    await lost.sweep();
    expect(lines).toEqual([expect.stringMatching(/could not be removed.*not in the configuration any more/)]);
    const due = Number(await redis.client().zscore(RECORDS, records[0] ?? ""));
    expect(due).toBeGreaterThan(Date.now() + 50_000);
    await redis.client().zadd(RECORDS, 1, records[0] ?? "");
    await new DnsInHouse(opened.house).sweep();
    expect(await bind.txt(NAME)).toEqual([]);
    expect(await redis.client().exists(RECORDS, `${RECORDS}:failures`)).toBe(0);
  });
});

describe("the preflight", () => {
  const verdict = async (...names: string[]) => {
    const checks = new Checks(opened.house);
    try {
      const [ca] = opened.house.config.cas;
      return await checks.check({ spec: makeSpec(names, { challenge: "dns-01" }) }, ca);
    } finally {
      checks.close();
    }
  };

  it("asks no address and no port of a name by dns-01, but who sets its TXT", async () => {
    // Without an A record, and nobody listens.
    expect(await verdict(`*.none.${ZONE}`, `none.${ZONE}`)).toEqual({ kind: "ready" });
    expect(await verdict("*.strange.test")).toMatchObject({ kind: "blocked", code: "dns_provider_missing" });
  });

  it("blames this host where no resolver tells", async () => {
    await opened.close();
    await open({ resolvers: [`127.0.0.1:${await freePort()}`] });
    expect(await verdict(ZONE)).toMatchObject({ kind: "node", code: "resolver_failed" });
  });
});

it("waits for nobody in a worker's place: a turn is over as soon as the records are set", async () => {
  const outcome = await turnOf()(await accept(...NAMES));
  expect(outcome).toMatchObject({ kind: "later", data: { dns: { since: expect.any(Number) } } });
  await waitUntil(async () => (await bind.txt(NAME, "secondary")).length === 2, { what: "the secondary" });
});

/** Its own clock is right; what is due is told by another one. */
function systemAfter(now: () => number) {
  let first = true;
  return {
    now: () => {
      if (!first) return Date.now();
      first = false;
      return now();
    },
  };
}
