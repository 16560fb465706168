/** Against a CA that keeps Let's Encrypt's limits, with all periods divided by 360: an hour is ten seconds. */
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openStage, type Stage, startWorker, stopProcess } from "../../scripts/stage.ts";
import { byStatus, Installation } from "../support/certherd.ts";
import type { LimitedCa, LimitedCaOptions } from "../support/limited-ca.ts";
import { limitedOf, limitsYaml } from "../support/limits-yaml.ts";
import { long } from "../support/long.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { freePort, waitUntil } from "../support/temp.ts";

const SCALE = 360;
const HOUR = 3_600_000 / SCALE;

let stage: Stage;
let limited: LimitedCa;
let redis: RedisServer;
let house: Installation;
let workers: ReturnType<typeof startWorker>[];

beforeEach(async () => {
  redis = await startRedis();
  workers = [];
});

afterEach(async () => {
  await Promise.all(workers.map(stopProcess));
  await redis.stop();
  await stage?.close();
});

async function open(limits: LimitedCaOptions["limits"] = {}, more: (stage: Stage) => string = () => "") {
  stage = await openStage({
    gate: true,
    limits: { scale: SCALE, limits },
    env: { PEBBLE_WFE_NONCEREJECT: "0" },
  });
  limited = limitedOf(stage);
  house = new Installation(stage, { REDIS_URL: redis.url });
  // The file says which CAs there are.
  delete house.env.CERTHERD_CA;
  delete house.env.CERTHERD_CA_ROOT;
  house.config(limitsYaml(stage, { scale: SCALE, more: more(stage) }));
}

function start(...roles: string[]): void {
  for (const role of roles) workers.push(startWorker(role, house.env, join(house.home, "workers.log")));
}

const row = (names: string, port = stage.acmePort): string => `${names},443,${port}`;

async function count(status: string): Promise<number> {
  return byStatus(await house.list())[status] ?? 0;
}

async function until(status: string, wanted: number, timeoutMs = 40_000): Promise<void> {
  const there = async (): Promise<boolean> => (await count(status)) === wanted;
  await waitUntil(there, { timeoutMs, everyMs: 300, what: `${wanted} ${status}` });
}

interface Shown {
  status: string;
  error?: { code: string; url?: string };
  detail?: string;
  ca?: string;
}

long(
  "a name in three certificates that fails for ever, retried as fast as it goes, has five validations an hour",
  async () => {
    await open();
    const name = "bad.moo.com";
    await stage.pebble.dns.setServfail(name);
    start("respond", "issue");
    await house.run([
      "import",
      house.csv("bad.csv", [row(name), row(`one.moo.com ${name}`), row(`two.moo.com ${name}`)]),
    ]);
    const end = Date.now() + 2.2 * HOUR;
    while (Date.now() < end) {
      await house.run(["retry"]);
      await sleep(200);
    }
    const times = limited.stats().validations[name] ?? [];
    expect(times.length).toBeGreaterThanOrEqual(10);
    for (const [index, time] of times.entries()) {
      const fifthAfter = times[index + 5];
      if (fifthAfter !== undefined) expect(fifthAfter - time).toBeGreaterThan(HOUR - 50);
    }
    expect(limited.stats().refusals).toEqual([]);
  },
);

it("what the CA pauses is parked with the CA's page, for every certificate of the name, until it is resumed", async () => {
  await open(
    {},
    ({ smtp }) =>
      `mail: { from: certs@lb.example, operator: { to: ops@lb.example, relay: 127.0.0.1, port: ${smtp.port} } }`,
  );
  const name = "paused.moo.com";
  limited.pause(name);
  start("respond", "issue", "notify");
  const mail = `certs@lb.example,ops@lb.example,127.0.0.1,${stage.smtp.port}`;
  await house.run(["import", house.csv("a.csv", [`${row(name)},${mail}`])]);
  await until("attention", 1);
  await house.run(["import", house.csv("b.csv", [row(`two.moo.com ${name}`)])]);
  await until("attention", 2);
  // The second one was not even asked for.
  expect(limited.stats().paused).toBe(1);
  const shown = await house.json<Shown>("show", name);
  expect(shown.error?.code).toBe("paused_by_ca");
  expect(shown.error?.url).toMatch(/^https:\/\/\S+$/);
  const { messages } = stage.smtp;
  await waitUntil(() => messages.length > 0, { timeoutMs: 15_000, what: "the mail" });
  expect(messages[0]?.text.replace(/\s+/g, " ")).toContain(`certherd resume ${name}`);
  expect(messages[0]?.text).toContain(shown.error?.url ?? "?");
  expect((await house.run(["retry", name])).code).toBe(0);
  await sleep(1_000);
  expect(limited.stats().paused).toBe(1);
  limited.unpause(name);
  expect((await house.run(["resume", name])).stdout).toContain("queued");
  expect((await house.run(["resume", "two.moo.com"])).stdout).toContain("queued");
  await until("issued", 2);
});

long(
  "a name that fails again and again is parked with its evidence, and tried again when a person says so",
  async () => {
    await open({ failedAuthorizations: null }, () => "patience: { failures: 3 }");
    const name = "moved.moo.com";
    await stage.pebble.dns.setServfail(name);
    start("respond", "issue");
    await house.run(["import", house.csv("a.csv", [row(name)])]);
    await waitUntil(async () => (await count("waiting")) === 1, { timeoutMs: 20_000, what: "a failure" });
    for (let tries = 0; tries < 10 && (await count("attention")) === 0; tries++) {
      await house.run(["retry"]);
      await sleep(1_500);
    }
    const shown = await house.json<Shown>("show", name);
    expect(shown).toMatchObject({ status: "attention", error: { code: "given_up" } });
    expect(shown.detail).toMatch(/^moved\.moo\.com has failed 3 times in a row since 20.*The last time: /);
    await stage.pebble.dns.clearServfail(name);
    await house.run(["retry", name]);
    await until("issued", 1);
  },
);

long("after Redis is lost, what was issued lately counts still", async () => {
  await open({ certificatesPerDomain: { count: 8, periodMs: 7 * 86_400_000 } });
  start("respond", "issue");
  const names = (from: number) => Array.from({ length: 6 }, (_, n) => row(`host${from + n}.busy.example`));
  await house.run(["import", house.csv("a.csv", names(0))]);
  await until("issued", 6);
  await redis.client().flushall();
  await house.run(["import", house.csv("b.csv", names(6))]);
  await until("issued", 8);
  await until("waiting", 4);
  await sleep(1_000);
  expect(limited.stats().refusals).toEqual([]);
  const limits = await house.json<{
    accounts: { buckets: { limit: string; key: string; remaining: number; waits: number }[] }[];
  }>("limits");
  const domain = limits.accounts[0]?.buckets.find(({ limit }) => limit === "certificatesPerDomain");
  expect(domain).toMatchObject({ key: "busy.example", remaining: 0, waits: 4 });
  // One that is paused frees its place.
  await house.run(["pause", "host11.busy.example"]);
  const after = await house.json<typeof limits>("limits");
  expect(after.accounts[0]?.buckets.find(({ limit }) => limit === "certificatesPerDomain")?.waits).toBe(3);
});

long(
  "with spillAfter, what would wait too long goes to the next CA, and what names its CA stays",
  async () => {
    await open({ newOrders: { count: 5, periodMs: 7 * 86_400_000 } });
    const { directoryUrl, rootPath } = stage.pebble;
    const second = `  - { name: second, directory: "${directoryUrl}", root: ${rootPath} }\nretry:`;
    const both = limitsYaml(stage, { scale: SCALE, more: "spillAfter: 1m" }).replace("retry:", second);
    house.config(both);
    start("respond", "issue");
    const rows = Array.from({ length: 12 }, (_, n) => row(`host${n}.moo${n}.com`));
    const fixed = ["DOMAIN,VIPPort,ACMEPort,CA", `fixed.moo.com,443,${stage.acmePort},scaled`];
    await house.run(["import", house.csv("a.csv", rows)]);
    await until("issued", 12);
    await house.run(["import", house.csv("b.csv", fixed)]);
    await until("waiting", 1);
    const cas = await Promise.all(rows.map((_, n) => house.json<Shown>("show", `host${n}.moo${n}.com`)));
    expect(cas.filter(({ ca }) => ca === "second")).toHaveLength(8);
    expect(limited.stats().limits.newOrders.letThrough).toBe(4);
    expect(limited.stats().refusals).toEqual([]);
  },
);

long(
  "a broken firewall stops the account after some failures, with one mail; it goes on by itself when that is mended",
  async () => {
    await open(
      {},
      ({ smtp }) =>
        `breaker: { after: 20, probe: [1s] }\nmail: { from: certs@lb.example, operator: { to: ops@lb.example, relay: 127.0.0.1, port: ${smtp.port} } }`,
    );
    // The CA comes to one port, and we listen on another: nothing leads from the one to the other yet.
    const port = await freePort();
    start("respond", "issue", "notify");
    const rows = Array.from({ length: 290 }, (_, n) => row(`host${n}.moo${n}.com`, port));
    await house.run(["import", house.csv("a.csv", rows)]);
    const { messages } = stage.smtp;
    await waitUntil(() => messages.length > 0, { timeoutMs: 60_000, what: "the mail" });
    await sleep(5_000);
    const failed = limited.stats().limits.failedAuthorizations;
    const validations = Object.values(limited.stats().validations).flat().length;
    // Those in flight when it opened, and one a second since.
    expect(validations).toBeLessThan(250);
    expect(messages).toHaveLength(1);
    expect(messages[0]?.subject).toContain("Orders from scaled are paused");
    expect(failed.refused).toBe(0);
    const limits = await house.json<{ accounts: { paused?: { code: string } }[] }>("limits");
    expect(limits.accounts[0]?.paused?.code).toBe("connection");
    const bridge = await forward(stage.acmePort, port);
    try {
      await until("issued", 290, 60_000);
      expect(messages).toHaveLength(1);
    } finally {
      bridge.close();
    }
  },
);

/** What a firewall lets through: connections to one port lead to another. */
async function forward(from: number, to: number): Promise<Server> {
  const server = createServer((incoming) => {
    const outgoing = connect(to, "127.0.0.1");
    incoming.pipe(outgoing).pipe(incoming);
    for (const socket of [incoming, outgoing])
      socket.on("error", () => {
        incoming.destroy();
        outgoing.destroy();
      });
  });
  await new Promise<void>((resolve) => server.listen(from, "127.0.0.1", resolve));
  return server;
}
