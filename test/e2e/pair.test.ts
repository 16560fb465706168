/**
 * Two hosts with one Redis and one encrypted store. Both are this machine, so each has an address of its own by which
 * it is active: the switch-over is to take the one away and to add the other.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openStage, type Stage, startCertherd, stopProcess } from "../../scripts/stage.ts";
import { ensureTools } from "../../scripts/tools.ts";
import { served } from "../../src/deploy/served.ts";
import { byStatus, Installation } from "../support/certherd.ts";
import { type Haproxy, startHaproxy } from "../support/haproxy.ts";
import { isLong } from "../support/long.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { atExit, freePort, waitUntil } from "../support/temp.ts";
import { haproxyNode, terminationYaml } from "../support/terminations.ts";

const HOSTS = { lb1: "10.99.77.1", lb2: "10.99.77.2" } as const;
type Host = keyof typeof HOSTS;

const { ip } = await ensureTools(["ip"]);
function address(what: "add" | "del", host: Host): boolean {
  try {
    execFileSync(ip, ["addr", what, `${HOSTS[host]}/32`, "dev", "lo"], { stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
}
const clear = (): void => {
  for (const host of ["lb1", "lb2"] as const) address("del", host);
};
atExit(clear);

/** Whether this user may give addresses to the loopback interface. */
const allowed = address("add", "lb1");
clear();

let stage: Stage;
let redis: RedisServer;
let houses: Record<Host, Installation>;
let balancers: Record<Host, Haproxy>;
/** What a test has started, to be stopped whatever becomes of it. */
const started: { stop(): Promise<unknown> }[] = [];

beforeEach(async () => {
  stage = await openStage({ gate: true, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
  redis = await startRedis({ appendOnly: true });
  const [lb1, lb2] = await Promise.all([startHaproxy(), startHaproxy()]);
  balancers = { lb1, lb2 };
  started.push({ stop: () => stage.close() }, redis, lb1, lb2);
  const shared = { REDIS_URL: redis.url, CERTHERD_STORE_KEY: randomBytes(32).toString("base64") };
  houses = { lb1: await install("lb1", shared), lb2: await install("lb2", shared) };
});

afterEach(async () => {
  for (const { stop } of started.splice(0).reverse()) await stop();
  clear();
});

async function install(host: Host, shared: Record<string, string>): Promise<Installation> {
  const listen = `127.0.0.1:${await freePort()}`;
  const house = new Installation(stage, { ...shared, CERTHERD_NODE: host, CERTHERD_LISTEN: listen });
  const nodes = (["lb1", "lb2"] as const).map((name) => ({
    ...haproxyNode(name, balancers[name]),
    waitFor: false,
  }));
  house.config(`${terminationYaml(nodes)}activeWhen: { address: ${HOSTS[host]} }\n`);
  return house;
}

function up(host: Host): { kill(): void } {
  const child = startCertherd(["up"], houses[host].env, log(host));
  started.push({ stop: () => stopProcess(child) });
  return { kill: () => child.kill("SIGKILL") };
}

const log = (host: Host): string => join(houses[host].home, "up.log");

async function untilSays(host: Host, what: string, timeoutMs: number, times = 1): Promise<void> {
  const said = (): number => readFileSync(log(host), "utf8").split(what).length - 1;
  await waitUntil(() => existsSync(log(host)) && said() >= times, { timeoutMs, what: `${host}: ${what}` });
}

const rows = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}${n}.customer${n % 20}.example,443,${stage.acmePort}`);

async function untilServing(count: number): Promise<void> {
  await waitUntil(async () => (byStatus(await houses.lb1.list()).serving ?? 0) === count, {
    timeoutMs: 60_000,
    everyMs: 400,
    what: `${count} serving`,
  });
}

/** Says how all stands where it takes too long. */
async function untilFinalized(count: number): Promise<void> {
  const isThere = (): boolean => (stage.requests().finalize ?? 0) >= count;
  await waitUntil(isThere, { timeoutMs: 60_000, what: `${count} finalized` }).catch(async ({ message }) => {
    const waiting = (await houses.lb1.list()).filter(({ status }) => status !== "serving").slice(0, 3);
    const logs = (["lb1", "lb2"] as const).map((host) => readFileSync(log(host), "utf8"));
    throw new Error([message, JSON.stringify([stage.requests(), waiting]), ...logs].join("\n"));
  });
}

async function secretsIn(server: RedisServer): Promise<boolean> {
  const client = server.client();
  for await (const keys of client.scanStream({ count: 1_000 }) as AsyncIterable<string[]>)
    for (const key of keys) if ((await client.dumpBuffer(key))?.includes("PRIVATE KEY")) return true;
  return false;
}

it.skipIf(!allowed)(
  "the active host orders, both deploy to themselves, and an address that moves takes the orders along",
  async () => {
    address("add", "lb1");
    up("lb1");
    up("lb2");
    await untilSays("lb1", "This host is active", 10_000);
    await untilSays("lb2", "This host is passive", 10_000);

    // Asked for on the passive host, ordered by the other one.
    expect((await houses.lb2.run(["import", houses.lb2.csv("a.csv", rows("a", 20)), "--wait"])).code).toBe(0);
    const certificates = await houses.lb1.list();
    expect(byStatus(certificates)).toEqual({ serving: 20 });
    for (const { name, serial } of certificates)
      for (const { port } of Object.values(balancers))
        expect((await served({ address: "127.0.0.1", port }, name, { timeout: 3_000 })).serial).toBe(serial);
    // Each host has all of it on its disk, and nobody can read a key in Redis.
    for (const { home } of Object.values(houses)) {
      const key = join(home, "certificates/a3.customer3.example/a3.customer3.example.key");
      expect(statSync(key).mode & 0o777).toBe(0o600);
    }
    expect(await secretsIn(redis)).toBe(false);

    // In the middle of a batch, the address moves.
    await houses.lb1.run(["import", houses.lb1.csv("b.csv", rows("b", 80))]);
    await untilFinalized(20 + 25);
    address("del", "lb1");
    address("add", "lb2");
    await untilSays("lb2", "This host is active", 10_000);
    await untilSays("lb1", "This host is passive", 10_000);
    await untilServing(100);
    expect(stage.requests()).toMatchObject({ newOrder: 100, finalize: 100, newAccount: 1 });

    // And back.
    await houses.lb1.run(["import", houses.lb1.csv("c.csv", rows("c", 40))]);
    await untilFinalized(100 + 10);
    address("del", "lb2");
    address("add", "lb1");
    await untilSays("lb1", "This host is active", 10_000, 2);
    await untilServing(140);
    expect(stage.requests()).toMatchObject({ newOrder: 140, finalize: 140, newAccount: 1 });
  },
);

it.runIf(allowed && isLong)(
  "a host that dies is gone past, and what it owes is deployed when it is back",
  async () => {
    address("add", "lb1");
    const dying = up("lb1");
    // Before the other one's, so that challenges are answered whatever happens.
    up("lb2");
    await untilSays("lb1", "certherd is up", 15_000);
    await untilSays("lb2", "This host is passive", 15_000);
    dying.kill();
    address("del", "lb1");
    address("add", "lb2");
    await untilSays("lb2", "This host is active", 10_000);
    const { code } = await houses.lb2.run(["import", houses.lb2.csv("d.csv", rows("d", 10)), "--wait"]);
    expect(code).toBe(1);
    const waiting = await houses.lb2.list();
    expect(byStatus(waiting)).toEqual({ waiting: 10 });
    expect(waiting[0]).toMatchObject({ reason: "node", detail: expect.stringContaining("lb1") });
    const [{ name = "", serial = "" } = {}] = waiting;
    const at = (host: Host) =>
      served({ address: "127.0.0.1", port: balancers[host].port }, name, { timeout: 3_000 });
    expect((await at("lb2")).serial).toBe(serial);
    expect((await at("lb1")).serial).not.toBe(serial);
    up("lb1");
    await untilServing(10);
    expect((await at("lb1")).serial).toBe(serial);
    expect(stage.requests()).toMatchObject({ newOrder: 10, finalize: 10 });
  },
);

it("a host with another key for the store ends at once, and says why", async () => {
  expect((await houses.lb1.run(["list"])).code).toBe(0);
  houses.lb2.env.CERTHERD_STORE_KEY = randomBytes(32).toString("hex");
  const { code, stderr } = await houses.lb2.run(["list"]);
  expect(code).toBe(2);
  expect(stderr).toContain("another CERTHERD_STORE_KEY");
});
