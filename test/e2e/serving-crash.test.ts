/** Deployments to the real HAProxy and stunnel that are cut off, and what they leave behind. */
import type { ChildProcess } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { openStage, type Stage, startWorker, stopProcess } from "../../scripts/stage.ts";
import { served } from "../../src/deploy/served.ts";
import { byStatus, Installation } from "../support/certherd.ts";
import { type Haproxy, startHaproxy } from "../support/haproxy.ts";
import { long } from "../support/long.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { startStunnel } from "../support/stunnel.ts";
import { waitUntil } from "../support/temp.ts";
import { haproxyNode, stunnelNode, terminationYaml } from "../support/terminations.ts";

/** What a test has started, to be stopped whatever becomes of it. */
const started: { stop(): Promise<unknown> }[] = [];

afterEach(async () => {
  for (const { stop } of started.splice(0).reverse()) await stop();
});

async function open(): Promise<{ stage: Stage; redis: RedisServer; house: Installation }> {
  const stage = await openStage({ gate: true, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
  const redis = await startRedis({ appendOnly: true });
  started.push({ stop: () => stage.close() }, redis);
  return { stage, redis, house: new Installation(stage, { REDIS_URL: redis.url }) };
}

function run(house: Installation, role: string): ChildProcess {
  const child = startWorker(role, house.env, join(house.home, `${role}.log`));
  started.push({ stop: () => stopProcess(child) });
  return child;
}

const rows = (stage: Stage, count: number): string[] =>
  Array.from({ length: count }, (_, n) => `host${n}.customer${n % 20}.example,443,${stage.acmePort}`);

async function allServing(house: Installation, count: number): Promise<void> {
  await waitUntil(async () => (byStatus(await house.list()).serving ?? 0) === count, {
    timeoutMs: 90_000,
    everyMs: 500,
    what: `${count} to be serving`,
  });
}

/** Whole files with the key that fits, each once in the crt-list, and no transaction that was left open. */
async function expectWhole(node: Haproxy, count: number): Promise<void> {
  const files = readdirSync(node.certDir).filter((name) => name.endsWith(".pem"));
  expect(files).toHaveLength(count);
  for (const name of files) {
    const pem = readFileSync(join(node.certDir, name), "utf8");
    expect(new X509Certificate(pem).checkPrivateKey(createPrivateKey(pem))).toBe(true);
  }
  const listed = readFileSync(node.crtList, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("/"));
  expect(listed.sort()).toEqual(files.map((name) => join(node.certDir, name)).sort());
  expect(await node.command("show ssl cert\n")).not.toContain("# transaction");
}

it("kill -9 of the deploying worker, three times while 60 are deployed: all are served, none is ordered again", async () => {
  const [names, kills] = [60, 3];
  const { stage, house } = await open();
  const nodes = await Promise.all([startHaproxy(), startHaproxy()]);
  started.push(...nodes);
  const [first, second] = nodes;
  house.config(terminationYaml([haproxyNode("lb1", first), haproxyNode("lb2", second)]));
  await house.run(["import", house.csv("domains.csv", rows(stage, names))]);
  run(house, "respond");
  run(house, "issue");
  await waitUntil(() => (stage.requests().finalize ?? 0) >= names, {
    timeoutMs: 60_000,
    what: "the orders",
  });
  for (let kill = 0; kill < kills; kill++) {
    const child = startWorker("deploy", house.env, join(house.home, "deploy.log"));
    // Node's own start takes half a second of that.
    await sleep(600 + Math.random() * 900);
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  run(house, "deploy");
  await allServing(house, names);
  for (const node of nodes) await expectWhole(node, names);
  for (const { name, serial } of (await house.list()).slice(0, 20))
    expect((await served({ address: "127.0.0.1", port: second.port }, name, { timeout: 3_000 })).serial).toBe(
      serial,
    );
  expect(stage.requests().newOrder).toBe(names);
});

long("stunnel: one reload for a batch, and none sooner after another than is configured", async () => {
  const { stage, house } = await open();
  const stunnel = await startStunnel();
  started.push(stunnel);
  house.config(terminationYaml([stunnelNode("lb1", stunnel, "4s")]));
  const ran = await house.run(["import", house.csv("domains.csv", rows(stage, 20)), "--wait"]);
  expect(ran).toMatchObject({ code: 0 });
  const certificates = await house.list();
  expect(byStatus(certificates)).toEqual({ serving: 20 });
  for (const { name, serial } of certificates)
    expect(
      (await served({ address: "127.0.0.1", port: stunnel.port }, name, { timeout: 3_000 })).serial,
    ).toBe(serial);
  expect(stunnel.reloads()).toBeGreaterThanOrEqual(1);
  expect(stunnel.reloads()).toBeLessThanOrEqual(3);
});
