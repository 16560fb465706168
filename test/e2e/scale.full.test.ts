import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  cleanEnvironment,
  openStage,
  PROJECT,
  type Stage,
  startWorker,
  stopProcess,
} from "../../scripts/stage.ts";
import { byStatus, Installation } from "../support/certherd.ts";
import { startRedis } from "../support/redis.ts";
import { waitUntil } from "../support/temp.ts";

/** Runs an import and watches its memory. Returns the most that it held, in MB (VmHWM of proc(5)). */
async function peakOfImport(house: Installation, csv: string): Promise<number> {
  const child = spawn(process.execPath, [join(PROJECT, "bin/certherd.js"), "import", csv], {
    env: cleanEnvironment(house.env),
    stdio: "ignore",
  });
  let peak = 0;
  while (child.exitCode === null) {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      peak = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? peak);
    } catch {
      // It has just ended.
    }
    await sleep(50);
  }
  expect(child.exitCode).toBe(0);
  return Math.round(peak / 1_024);
}

describe("at scale", () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ gate: true, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
  });

  afterAll(async () => {
    await stage?.close();
  });

  const rows = (count: number): string[] =>
    Array.from({ length: count }, (_, n) => `host${n}.customer${n % 997}.example,443,${stage.acmePort}`);

  it("imports 100,000 rows in the memory that 10,000 take", async () => {
    const small = new Installation(stage);
    const large = new Installation(stage);
    try {
      const least = await peakOfImport(small, small.csv("small.csv", rows(10_000)));
      const most = await peakOfImport(large, large.csv("large.csv", rows(100_000)));
      // Garbage that has not been collected yet comes and goes; ten times the rows would be far more.
      expect(most).toBeLessThan(least * 1.6);
    } finally {
      await small.close();
      await large.close();
    }
  });

  it("issues 1,200 names with two workers, one of which is killed again and again", async () => {
    const redis = await startRedis({ appendOnly: true });
    const house = new Installation(stage, { REDIS_URL: redis.url });
    const log = join(house.home, "workers.log");
    const steady = ["respond", "issue"].map((role) => startWorker(role, house.env, log));
    let victim = startWorker("issue", house.env, log);
    try {
      expect((await house.run(["import", house.csv("domains.csv", rows(1_200))])).code).toBe(0);
      for (let kills = 0; kills < 5; kills++) {
        await sleep(3_000);
        victim.kill("SIGKILL");
        victim = startWorker("issue", house.env, log);
      }
      const issued = async (): Promise<number> => byStatus(await house.list()).issued ?? 0;
      await waitUntil(async () => (await issued()) === 1_200, {
        timeoutMs: 300_000,
        everyMs: 2_000,
        what: "all",
      });
      expect(stage.requests().finalize).toBe(1_200);
    } finally {
      await Promise.all([...steady, victim].map(stopProcess));
      await redis.stop();
    }
  });
});
