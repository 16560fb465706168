import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { openStage, type Stage, startCertherd, startWorker, stopProcess } from "../../scripts/stage.ts";
import { byStatus, Installation } from "../support/certherd.ts";
import { long } from "../support/long.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { waitUntil } from "../support/temp.ts";

const NAMES = 200;

/** What a test has started, to be stopped whatever becomes of it. */
const started: { stop(): Promise<unknown> }[] = [];

afterEach(async () => {
  for (const { stop } of started.splice(0).reverse()) await stop();
});

async function stageWith(env: Record<string, string>): Promise<Stage> {
  // Nonces are refused only where a test asks for it, as a refused request is counted like a good one.
  const stage = await openStage({ gate: true, env: { PEBBLE_WFE_NONCEREJECT: "0", ...env } });
  started.push({ stop: () => stage.close() });
  return stage;
}

async function ownRedis(): Promise<RedisServer> {
  const redis = await startRedis({ appendOnly: true });
  started.push({ stop: () => redis.stop() });
  return redis;
}

function running(child: ChildProcess): ChildProcess {
  started.push({ stop: () => stopProcess(child) });
  return child;
}

function installation(stage: Stage, redis: RedisServer): Installation {
  return new Installation(stage, { REDIS_URL: redis.url });
}

function csvOf(house: Installation, stage: Stage): string {
  return house.csv(
    "domains.csv",
    Array.from({ length: NAMES }, (_, n) => `host${n}.customer${n % 20}.example,443,${stage.acmePort}`),
  );
}

async function allIssued(house: Installation): Promise<void> {
  await waitUntil(async () => (byStatus(await house.list()).issued ?? 0) === NAMES, {
    timeoutMs: 60_000,
    everyMs: 500,
    what: `${NAMES} certificates`,
  });
}

/** Waits until the CA has seen so many finalize requests: that is the middle of the batch. */
async function middle(stage: Stage): Promise<void> {
  const enough = (): boolean => (stage.requests().finalize ?? 0) >= NAMES / 4;
  await waitUntil(enough, { timeoutMs: 30_000, what: "a quarter of the orders" });
}

describe("whatever is killed in the middle of 200 names", () => {
  it("kill -9 of the worker: all are issued, and no order is finalized twice", async () => {
    const stage = await stageWith({});
    const house = installation(stage, await ownRedis());
    const log = join(house.home, "workers.log");
    expect((await house.run(["import", csvOf(house, stage)])).code).toBe(0);
    running(startWorker("respond", house.env, log));
    const first = startWorker("issue", house.env, log);
    await middle(stage);
    first.kill("SIGKILL");
    running(startWorker("issue", house.env, log));
    await allIssued(house);
    expect(stage.requests().finalize).toBe(NAMES);
  });

  long(
    "kill -9 of everything, answers to challenges included: the same, without waiting for the retry table",
    async () => {
      const stage = await stageWith({});
      const house = installation(stage, await ownRedis());
      const log = join(house.home, "up.log");
      const first = startCertherd(["up"], house.env, log);
      expect((await house.run(["import", csvOf(house, stage)])).code).toBe(0);
      await middle(stage);
      first.kill("SIGKILL");
      running(startCertherd(["up"], house.env, log));
      await allIssued(house);
      expect(stage.requests().finalize).toBe(NAMES);
    },
  );

  long("kill -9 of Redis with its append-only file on: the same", async () => {
    const stage = await stageWith({});
    const redis = await ownRedis();
    const house = installation(stage, redis);
    running(startCertherd(["up"], house.env, join(house.home, "up.log")));
    expect((await house.run(["import", csvOf(house, stage)])).code).toBe(0);
    await middle(stage);
    await redis.kill9();
    await redis.restart();
    await allIssued(house);
    expect(stage.requests().finalize).toBe(NAMES);
  });

  long("a CA that refuses 30 % of all nonces: all are issued", async () => {
    const stage = await stageWith({ PEBBLE_WFE_NONCEREJECT: "30" });
    const house = installation(stage, await ownRedis());
    running(startCertherd(["up"], house.env, join(house.home, "up.log")));
    expect((await house.run(["import", csvOf(house, stage), "--wait"])).code).toBe(0);
  });

  it("SIGTERM: the worker drains and ends well within 30 seconds, and the next one goes on", async () => {
    const stage = await stageWith({});
    const house = installation(stage, await ownRedis());
    const log = join(house.home, "up.log");
    const first = startCertherd(["up"], house.env, log);
    expect((await house.run(["import", csvOf(house, stage)])).code).toBe(0);
    await middle(stage);
    expect(await stopProcess(first)).toBe(0);
    running(startCertherd(["up"], house.env, log));
    await allIssued(house);
    expect(stage.requests().finalize).toBe(NAMES);
  });
});
