/** Where a certificate goes next, with a real index: what a crash or a person leaves in the middle of a roll-out. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { namesKey } from "../../src/core/certificate.ts";
import { ensureJobs } from "../../src/intake/jobs.ts";
import { pauseCertificate, resumeCertificate } from "../../src/runtime/pausing.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { tempDir } from "../support/temp.ts";
import { terminationYaml } from "../support/terminations.ts";

const DAY = 86_400_000;
const NAME = "a.example";
const NODES = ["lb1", "lb2", "lb3"];

let redis: RedisServer;
let opened: TestHouse;
let house: TestHouse["house"];

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => await redis.stop());

beforeEach(async () => {
  await redis.client().flushall();
  const config = join(tempDir("certherd-rollouts"), "certherd.yaml");
  const target = { files: { folder: "/nowhere" } };
  writeFileSync(
    config,
    terminationYaml(NODES.map((name) => ({ name, address: "127.0.0.1", port: 1, target }))),
  );
  opened = await openTestHouse(redis.url, { CERTHERD_CONFIG: config });
  house = opened.house;
  const now = Date.now();
  await house.certificates.accept([makeSpec(NAME)], { now });
  const leaf = {
    notBefore: now,
    notAfter: now + 90 * DAY,
    issuer: "CA",
    serial: "0B",
    renewAt: now + 60 * DAY,
  };
  const set = namesKey([NAME]);
  await house.certificates.transition(
    NAME,
    1,
    { status: "deploying", leaf: { ...leaf, set, generation: 1 } },
    now,
  );
});

afterEach(async () => await opened.close());

async function note(node: string, state: { ok: boolean; serial?: string; refused?: string; owed?: string }) {
  const at = Date.now();
  await house.certificates.noteNodes([{ id: NAME, node, state: { ...state, at, vipPort: 443 } }], at);
}

async function advance(): Promise<void> {
  await house.rollouts.advance(await house.certificates.present([NAME]));
}

it("what a node has refused needs a person, also when whoever noted that has died", async () => {
  await note("lb1", { ok: true, serial: "0B" });
  await note("lb2", { ok: false, refused: "0B", owed: "lb2 does not serve it." });
  await advance();
  expect(await house.certificates.get(NAME)).toMatchObject({
    status: "attention",
    reason: "node",
    detail: expect.stringContaining("lb2 does not serve it."),
    error: { code: "not_served" },
  });
  expect(await house.producer.queue("deploy-lb3").count()).toBe(0);
});

it("a node that comes back is not given what another one has refused since", async () => {
  await note("lb1", { ok: true, serial: "0B" });
  await note("lb3", { ok: false, refused: "0B", owed: "lb3 does not serve it." });
  const leaving = await house.nodes.serve(NODES);
  await advance();
  await leaving();
  expect(await house.certificates.get(NAME)).toMatchObject({ status: "attention" });
  expect(await house.producer.queue("deploy-lb2").count()).toBe(0);
});

it("whoever pauses and resumes it finds it where it was: a person's to mend", async () => {
  await note("lb1", { ok: false, refused: "0B", owed: "lb1 does not serve it." });
  await advance();
  const [record] = await house.certificates.present([NAME]);
  if (!record) throw new Error("it is gone");
  await pauseCertificate(house, record);
  const [paused] = await house.certificates.present([NAME]);
  if (paused) await resumeCertificate(house, paused);
  expect(await house.certificates.get(NAME)).toMatchObject({
    status: "attention",
    error: { code: "not_served" },
  });
});

it("a start, before anything that deploys runs, leaves what is being deployed as it is", async () => {
  await ensureJobs(house.restoreDeps);
  expect(await house.certificates.get(NAME)).toMatchObject({ status: "deploying" });
});
