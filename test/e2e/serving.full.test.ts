/** A whole fleet, from a CSV to being served: under load, through renewal and restarts, and whatever is killed. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { openStage, startCertherd, stopProcess } from "../../scripts/stage.ts";
import { Installation, type ListedCertificate } from "../support/certherd.ts";
import { fleetCsv, fleetNames, processOf, servedOtherwise, untilStatus } from "../support/fleet.ts";
import { proveKills } from "../support/fleet-kills.ts";
import { proveStunnel } from "../support/fleet-stunnel.ts";
import { type Haproxy, startHaproxy } from "../support/haproxy.ts";
import { type SocketMeter, startSocketMeter } from "../support/socket-meter.ts";
import { haproxyNode, terminationYaml } from "../support/terminations.ts";
import { type LoadTotals, OWN, startTlsLoad, type TlsLoad } from "../support/tls-load.ts";

const OLD = 50;
const NEW = 1_000;
/** Connections a second. */
const LOAD = 200;
/** Seconds. Half of it later they are renewed, which is when all have long been served. */
const VALID = 300;
/** Milliseconds on HAProxy's socket for one certificate. */
const SOCKET = 5;

/** What a test has started, to be stopped whatever becomes of it. */
const started: { stop(): Promise<unknown> }[] = [];

afterEach(async () => {
  for (const { stop } of started.splice(0).reverse()) await stop();
});

function running<T extends { stop(): Promise<unknown> }>(one: T): T {
  started.push(one);
  return one;
}

function defaultSerial({ dir }: Haproxy): string {
  return new X509Certificate(readFileSync(join(dir, "default.pem"))).serialNumber.toUpperCase();
}

function expectSpotless(totals: LoadTotals, when: string): void {
  const { opened, ok, failed, wrong, reasons, examples, open, slowest, lag } = totals;
  console.info(`${when}: ${JSON.stringify({ opened, ok, failed, wrong, reasons, slowest, lag })}`);
  expect({ failed, wrong, examples }, when).toEqual({ failed: 0, wrong: 0, examples: [] });
  expect(ok + open, when).toBe(opened);
}

/** Holds each name to its own serial as soon as it is listed as served with it. Returns what is given to `seen`. */
function strictly(load: TlsLoad, known: Map<string, string | undefined>) {
  return async (certificates: readonly ListedCertificate[]): Promise<void> => {
    const served = certificates.filter(
      ({ name, status, serial }) => status === "serving" && serial !== known.get(name),
    );
    for (const { name, serial } of served) known.set(name, serial);
    await load.allow(Object.fromEntries(served.map(({ name, serial = "" }) => [name, [serial]])));
  };
}

it("1,000 names to two HAProxy nodes and their renewal, with 200 connections a second and none of them disturbed", async () => {
  const stage = await openStage({
    gate: true,
    validityPeriod: VALID,
    env: { PEBBLE_WFE_NONCEREJECT: "0" },
  });
  running({ stop: () => stage.close() });
  const nodes = [running(await startHaproxy()), running(await startHaproxy())];
  const meters: SocketMeter[] = [];
  for (const { socket } of nodes) meters.push(running(await startSocketMeter(socket)));
  const house = new Installation(stage);
  running({ stop: () => house.close() });
  const metered = nodes.map((node, index) =>
    haproxyNode(`lb${index}`, { ...node, socket: meters[index]?.socket ?? "" }),
  );
  // A Pebble that knows ARI suggests the whole life of so short a certificate, from its first second.
  house.config(`${terminationYaml(metered)}renewal: { ari: false }\n`);
  const before = await Promise.all(nodes.map(processOf));
  const up = startCertherd(["up"], house.env, join(house.home, "up.log"));
  running({ stop: () => stopProcess(up) });

  const old = fleetNames(OLD, "old");
  expect((await house.run(["import", fleetCsv(house, stage, old)])).code).toBe(0);
  const there = await untilStatus(house, "serving", OLD, { timeoutMs: 60_000 });
  const known = new Map(there.map(({ name, serial }) => [name, serial]));
  const names = fleetNames(NEW);
  const notYet = [...nodes.map(defaultSerial), OWN];
  const load = await startTlsLoad({
    targets: nodes,
    perSecond: LOAD,
    allowed: Object.fromEntries([
      ...there.map(({ name, serial = "" }) => [name, [serial]]),
      ...names.map((name) => [name, notYet]),
    ]),
  });
  running({ stop: () => load.stop().catch(() => undefined) });

  let since = Date.now();
  expect((await house.run(["import", fleetCsv(house, stage, names)])).code).toBe(0);
  const seen = strictly(load, known);
  const first = await untilStatus(house, "serving", OLD + NEW, { timeoutMs: 140_000, everyMs: 1_000, seen });
  console.info(`${NEW} served after ${(Date.now() - since) / 1_000} s`);
  for (const { port } of nodes) expect(await servedOtherwise(port, first)).toEqual([]);
  expectSpotless(await load.totals(), "first deployment");
  expect(stage.requests().newOrder).toBe(OLD + NEW);
  for (const meter of meters) {
    const { commits, all, median, longest, commands } = await meter.totals();
    console.info(`socket: ${JSON.stringify({ commits, commands, mean: all / commits, median, longest })}`);
    expect(commits).toBe(OLD + NEW);
    expect(median, "milliseconds on the socket, the median").toBeLessThanOrEqual(SOCKET);
    expect(all / commits, "milliseconds on the socket, with what is about none").toBeLessThanOrEqual(SOCKET);
  }

  // From here on each may be renewed at any moment, and is held to its new serial from when it is listed with that.
  await load.allow(Object.fromEntries(first.map(({ name, serial = "" }) => [name, [serial, OWN]])));
  since = Date.now();
  const earlier = new Map(first.map(({ name, serial }) => [name, serial]));
  let second: readonly ListedCertificate[] = [];
  await untilStatus(house, "serving", OLD + NEW, {
    timeoutMs: 300_000,
    everyMs: 2_000,
    seen: async (certificates) => {
      second = certificates.filter(({ name, serial }) => serial !== earlier.get(name));
      await seen(certificates);
      if (second.length < OLD + NEW) throw new Error(`${second.length} are renewed`);
    },
  });
  console.info(`renewed after another ${(Date.now() - since) / 1_000} s`);
  await stopProcess(up);
  for (const { port } of nodes) expect(await servedOtherwise(port, second)).toEqual([]);
  expectSpotless(await load.stop(), "renewal");
  // Once each: then a name's own certificate was the old or the new one.
  expect(stage.requests().finalize).toBe(2 * (OLD + NEW));
  const after = await Promise.all(nodes.map(processOf));
  expect(after.map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
  for (const [index, { uptime }] of after.entries())
    expect(uptime).toBeGreaterThan((before[index]?.uptime ?? 0) + VALID / 2 - 20);

  for (const node of nodes) {
    await node.restart();
    expect(await servedOtherwise(node.port, second), "after a restart").toEqual([]);
  }
});

it("200 names to stunnel: no two reloads within the interval, and all are served", async () => {
  const { reloads, pauses, seconds } = await proveStunnel({ names: 200, parts: 4, reloadEvery: 8 });
  console.info(`stunnel: ${reloads} reloads, ${pauses} s apart, in ${seconds} s`);
});

it("kill -9 ten times in the middle of 200 deployments: all are served, nothing is half done or ordered again", async () => {
  await proveKills({
    seed: Date.now() % 1_000_000,
    names: 200,
    kills: 10,
    most: 700,
    patience: 16_000,
    issuedFirst: true,
  });
});
