/** The command itself: what it prints and ends with, beside `up` at work, and killed in the middle. */
import { spawn } from "node:child_process";
import { readdirSync, rmSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import {
  cleanEnvironment,
  openStage,
  PROJECT,
  type Stage,
  startCertherd,
  stopProcess,
} from "../../scripts/stage.ts";
import { byStatus, Installation } from "../support/certherd.ts";
import { long } from "../support/long.ts";
import { certificateMaker, writeCertificate } from "../support/many-certificates.ts";
import { startRedis } from "../support/redis.ts";
import { waitUntil } from "../support/temp.ts";

interface Document {
  dryRun: boolean;
  mended: number;
  person: number;
  looked: Record<string, number>;
  found: { what: string; outcome: string; count: number; examples: { name: string }[] }[];
}

let stage: Stage;
let house: Installation;

beforeAll(async () => {
  stage = await openStage({ gate: true, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
}, 240_000);

afterAll(async () => await stage?.close());

beforeEach(() => {
  house = new Installation(stage);
});

afterEach(async () => await house.close());

async function write(count: number): Promise<void> {
  const make = await certificateMaker();
  for (let n = 0; n < count; n++) writeCertificate(house.home, make(`host${n}.example`, n));
}

it("tells first, mends then, and ends with 1 for as long as something is left for a person", async () => {
  await write(3);
  const folder = join(house.home, "certificates/host1.example");
  unlinkSync(join(folder, "host1.example.key"));
  const dry = await house.json<Document>("reconcile", "--dry-run");
  expect(dry).toMatchObject({ dryRun: true, person: 1, looked: { folders: 3 } });
  const real = await house.run(["reconcile"]);
  expect(real.code).toBe(1);
  expect(real.stdout).toContain("restored: on disk, and not in the index: put back");
  expect(real.stdout).toMatch(/key_missing:\n {2}host1\.example/);
  expect(real.stdout).toContain("1 are left for a person.");
  expect(await house.list()).toHaveLength(3);
  expect(house.audited()).toEqual(["reconcile"]);
  // A person sees to it: it is not wanted any more.
  expect((await house.run(["remove", "host1.example"])).code).toBe(0);
  const good = await house.run(["reconcile"]);
  expect(good.stdout).toContain("All of it agrees.");
  expect(good.code).toBe(0);
  expect((await house.run(["reconcile", "--nonsense"])).code).toBe(2);
});

it("finds nothing wrong while `up` issues", async () => {
  const names = Array.from(
    { length: 300 },
    (_, n) => `host${n}.customer${n % 7}.example,443,${stage.acmePort}`,
  );
  const up = startCertherd(["up"], house.env, join(house.home, "up.log"));
  try {
    await waitUntil(() => readdirSync(house.home).includes("redis"), { timeoutMs: 20_000 });
    expect((await house.run(["import", house.csv("domains.csv", names)])).code).toBe(0);
    for (let runs = 0; ; runs++) {
      const issued = byStatus(await house.list()).issued ?? 0;
      const { found } = await house.json<Document>("reconcile");
      expect(found.filter(({ what }) => what !== "port_unused")).toEqual([]);
      if (issued === names.length) {
        expect(runs).toBeGreaterThan(1);
        break;
      }
    }
    expect(stage.requests().finalize).toBe(names.length);
  } finally {
    await stopProcess(up);
  }
}, 180_000);

long("can be killed anywhere, and be begun again", async () => {
  const redis = await startRedis();
  const [env, count] = [{ ...house.env, REDIS_URL: redis.url }, 2_000];
  Object.assign(house.env, env);
  try {
    await write(count);
    for (const ms of [700, 900, 1_100, 1_300]) {
      const child = spawn(process.execPath, [join(PROJECT, "bin/certherd.js"), "reconcile"], {
        env: cleanEnvironment(env),
        stdio: "ignore",
      });
      await sleep(ms);
      child.kill("SIGKILL");
      // Its lock would be waited for, for two minutes.
      await redis.client().del("{certherd}:restoring");
    }
    expect((await house.run(["reconcile"])).code).toBe(0);
    const { found, looked } = await house.json<Document>("reconcile");
    expect(found).toEqual([]);
    expect(looked).toMatchObject({ folders: count, certificates: count });
    rmSync(join(house.home, "certificates"), { recursive: true });
  } finally {
    await redis.stop();
  }
});
