/** Against a CA that keeps Let's Encrypt's limits, with all periods divided by 360: an hour is ten seconds. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStage, type Stage, startWorker, stopProcess } from "../../scripts/stage.ts";
import { byStatus, Installation } from "../support/certherd.ts";
import type { LimitedCa } from "../support/limited-ca.ts";
import { limitedOf, limitsYaml } from "../support/limits-yaml.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { waitUntil } from "../support/temp.ts";

const SCALE = 360;

let stage: Stage;
let limited: LimitedCa;
let redis: RedisServer;
let house: Installation;
let workers: ReturnType<typeof startWorker>[];

beforeEach(async () => {
  stage = await openStage({ gate: true, limits: { scale: SCALE }, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
  limited = limitedOf(stage);
  redis = await startRedis({ appendOnly: true });
  house = new Installation(stage, { REDIS_URL: redis.url });
  delete house.env.CERTHERD_CA;
  delete house.env.CERTHERD_CA_ROOT;
  house.config(limitsYaml(stage, { scale: SCALE }));
  workers = [];
});

afterEach(async () => {
  await Promise.all(workers.map(stopProcess));
  await redis.stop();
  await stage.close();
});

function start(...roles: string[]): void {
  for (const role of roles) workers.push(startWorker(role, house.env, join(house.home, "workers.log")));
}

const rows = (count: number, domains: number): string[] =>
  Array.from({ length: count }, (_, n) => `host${n}.customer${n % domains}.example,443,${stage.acmePort}`);

async function issued(count: number, timeoutMs: number): Promise<void> {
  const all = async (): Promise<boolean> => (byStatus(await house.list()).issued ?? 0) === count;
  await waitUntil(all, { timeoutMs, everyMs: 1_000, what: `${count} certificates` });
}

/** The part of the account's orders that was used, from the first one to the last. */
function used(): number {
  const { letThrough, wouldHaveAllowed } = limited.stats().limits.newOrders;
  return letThrough / wouldHaveAllowed;
}

describe("1,200 names on 300 registered domains, two workers", () => {
  it("no 429, and 98 % of the account's orders are used; the plan had named the end", async () => {
    start("respond", "issue", "issue");
    const csv = house.csv("domains.csv", rows(1_200, 300));
    const plan = await house.json<{ orders: number; finishesAt: string }>("plan", csv);
    expect(plan.orders).toBe(1_200);
    const begun = Date.now();
    await house.run(["import", csv]);
    await issued(1_200, 240_000);
    const took = Date.now() - begun;
    const planned = Date.parse(plan.finishesAt) - begun;
    const { refusals, limits } = limited.stats();
    console.log({ took, planned, used: used(), orders: limits.newOrders });
    expect(refusals).toEqual([]);
    expect(limits.newOrders.letThrough).toBe(1_200);
    expect(used()).toBeGreaterThanOrEqual(0.98);
    expect(Math.abs(took - planned) / took).toBeLessThan(0.05);
  });

  it("one of them killed half way: still no 429", async () => {
    start("respond", "issue", "issue");
    await house.run(["import", house.csv("domains.csv", rows(800, 300))]);
    await waitUntil(() => limited.stats().limits.newOrders.letThrough > 500, {
      timeoutMs: 120_000,
      what: "half of the orders",
    });
    workers[2]?.kill("SIGKILL");
    await issued(800, 240_000);
    expect(limited.stats().refusals).toEqual([]);
  });

  it("another client that spends some of the account's orders: one 429 a worker at the most", async () => {
    start("respond", "issue", "issue");
    await house.run(["import", house.csv("domains.csv", rows(600, 300))]);
    const { newOrders } = limited.stats().limits;
    await waitUntil(() => limited.stats().limits.newOrders.letThrough > 450, {
      timeoutMs: 120_000,
      what: "the scarce part",
    });
    let taken = 0;
    // A token comes every 100 ms, and the ledger is quick to take it.
    for (let tries = 0; taken < 5 && tries < 10_000; tries++) {
      taken += limited.spendNewOrders(undefined, 5 - taken);
      await sleep(1);
    }
    expect(taken).toBe(5);
    expect(newOrders.refused).toBe(0);
    await issued(600, 240_000);
    const { refusals } = limited.stats();
    console.log({ refusals });
    expect(refusals.length).toBeLessThanOrEqual(2);
    expect(refusals.every(({ limit }) => limit === "newOrders")).toBe(true);
  });
});

it("80 names under one registered domain wait for its bucket, and nobody else does", async () => {
  await stage.close();
  // 50 at once, and then one every two seconds: a minute for the other 30.
  const certificatesPerDomain = { count: 50, periodMs: 100_000 * SCALE };
  stage = await openStage({
    gate: true,
    limits: { scale: SCALE, limits: { certificatesPerDomain } },
    env: { PEBBLE_WFE_NONCEREJECT: "0" },
  });
  limited = limitedOf(stage);
  house.config(limitsYaml(stage, { scale: SCALE }));
  start("respond", "issue", "issue");
  const many = Array.from({ length: 80 }, (_, n) => `host${n}.busy.example,443,${stage.acmePort}`);
  await house.run(["import", house.csv("domains.csv", [...many, ...rows(40, 40)])]);
  const others = async (): Promise<boolean> =>
    (await house.list()).filter(({ name, status }) => !name.endsWith("busy.example") && status === "issued")
      .length === 40;
  await waitUntil(others, { timeoutMs: 20_000, everyMs: 500, what: "the others" });
  expect(byStatus(await house.list()).waiting).toBeGreaterThan(10);
  await issued(120, 120_000);
  expect(limited.stats().refusals).toEqual([]);
});

it("renewals do not stand behind new orders that wait, and take nothing of what those wait for", async () => {
  await stage.close();
  const newOrders = { count: 4, periodMs: 7 * 86_400_000 };
  // Renewed at half their lifetime, as that is under ten days.
  stage = await openStage({
    gate: true,
    limits: { scale: SCALE, limits: { newOrders } },
    validityPeriod: 40,
  });
  limited = limitedOf(stage);
  house.config(limitsYaml(stage, { scale: SCALE }));
  start("respond", "issue", "renew");
  await house.run(["import", house.csv("domains.csv", rows(5, 5))]);
  await issued(3, 30_000);
  const serials = async (): Promise<(string | undefined)[]> =>
    (await house.list()).filter(({ status }) => status === "issued").map(({ serial }) => serial);
  const before = await serials();
  const renewed = async (): Promise<boolean> => {
    const after = await serials();
    return after.length === 3 && after.every((serial) => !before.includes(serial));
  };
  await waitUntil(renewed, { timeoutMs: 60_000, everyMs: 1_000, what: "three renewals" });
  // The other two wait still, as nothing came back for them.
  const waiting = (await house.list()).filter(({ status }) => status === "waiting" || status === "queued");
  expect(waiting).toHaveLength(2);
  const { limits, refusals } = limited.stats();
  expect(refusals).toEqual([]);
  expect(limits.newOrders.letThrough).toBe(3);
  expect(limits.newOrders.exempt).toBeGreaterThanOrEqual(3);
});
