/** Where a certificate goes next, with a real index: what a crash or a person leaves in the middle of a roll-out. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { namesKey } from "../../src/core/certificate.ts";
import { finishRemoval } from "../../src/deploy/removal.ts";
import { ensureJobs } from "../../src/intake/jobs.ts";
import { restoreFromFiles } from "../../src/intake/restore.ts";
import { pauseCertificate, resumeCertificate } from "../../src/runtime/pausing.ts";
import { removeCertificate } from "../../src/runtime/removing.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { tempDir } from "../support/temp.ts";

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
  const nodesOf = (names: readonly string[], folder: string) =>
    names.map((name) => ({ name, address: "127.0.0.1", port: 1, target: { files: { folder } } }));
  const terminations = {
    443: { nodes: nodesOf(NODES, "/nowhere") },
    8443: { nodes: nodesOf(["lb1", "lb4"], "/nowhere-else") },
  };
  writeFileSync(config, `terminations: ${JSON.stringify(terminations)}\n`);
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

async function note(
  node: string,
  state: { ok: boolean; serial?: string; refused?: string; owed?: string },
  vipPort = 443,
) {
  const at = Date.now();
  await house.certificates.noteNodes([{ id: NAME, node, state: { ...state, at, vipPort } }], at);
}

/** Data of the jobs that stand in a node's queue. */
async function queued(node: string): Promise<unknown[]> {
  const jobs = await house.producer.queue(`deploy-${node}`).getJobs(["waiting", "prioritized", "delayed"]);
  return jobs.map(({ data }) => data);
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

it("one that was issued before there was a termination is never ordered again for a node that is away", async () => {
  const [record] = await house.certificates.present([NAME]);
  if (!record?.leaf) throw new Error("it is gone");
  const { generation: _, ...leaf } = record.leaf;
  await house.certificates.transition(NAME, 1, { status: "issued", leaf }, Date.now());
  await advance();
  const waiting = { status: "waiting", reason: "node", leaf: { serial: "0B", generation: 1 } };
  expect(await house.certificates.get(NAME)).toMatchObject(waiting);
  expect(await house.certificateFiles.read(NAME)).toMatchObject(waiting);
  await redis.client().flushall();
  await restoreFromFiles(house.restoreDeps);
  expect(await house.certificates.get(NAME)).toMatchObject({ ...waiting, generation: 1 });
});

describe("another port", () => {
  beforeEach(async () => {
    for (const node of NODES) await note(node, { ok: true, serial: "0B" });
    await advance();
    expect(await house.certificates.get(NAME)).toMatchObject({ status: "serving" });
    await house.nodes.serve([...NODES, "lb4"]);
    const spec = makeSpec(NAME, { vipPort: 8443 });
    const [accepted] = await house.enqueuer.enqueue([spec], {});
    expect(accepted).toMatchObject({ action: "deploy", generation: 1 });
  });

  it("is waited for, and the old one is left only when the new one serves", async () => {
    expect(await house.certificates.get(NAME)).toMatchObject({ status: "deploying" });
    expect(await queued("lb1")).toEqual([expect.objectContaining({ vipPort: 8443, serial: "0B" })]);
    await note("lb1", { ok: true, serial: "0B" }, 8443);
    await advance();
    expect(await queued("lb2")).toEqual([]);
    await note("lb4", { ok: true, serial: "0B" }, 8443);
    await advance();
    expect(await house.certificates.get(NAME)).toMatchObject({ status: "serving" });
    for (const node of NODES)
      expect(await queued(node)).toContainEqual(expect.not.objectContaining({ serial: "0B" }));
    expect(await queued("lb1")).toContainEqual({ id: NAME, generation: 1, vipPort: 443 });
  });

  it("is what a node keeps that lets go of the old one", async () => {
    await note("lb1", { ok: true, serial: "0B" }, 8443);
    const [record] = await house.certificates.present([NAME]);
    expect(record?.nodes?.lb1).toMatchObject({ vipPort: 8443, leaves: [443] });
    if (record) await finishRemoval(house.deployDeps, record, { name: "lb1", vipPort: 443 });
    const [after] = await house.certificates.present([NAME]);
    expect(after?.nodes?.lb1).toMatchObject({ ok: true, vipPort: 8443 });
    expect(after?.nodes?.lb1?.leaves).toBeUndefined();
    // The other way round: it is gone from the new one, and still stands under the old one.
    await note("lb2", { ok: true, serial: "0B" }, 8443);
    if (record) await finishRemoval(house.deployDeps, record, { name: "lb2", vipPort: 8443 });
    expect((await house.certificates.get(NAME))?.nodes?.lb2).toMatchObject({ ok: false, vipPort: 443 });
  });

  it("is one of several of a node: what is wrong with one of them does not keep the others back", async () => {
    await house.nodes.fault({ name: "lb1", vipPort: 443 }, "it is down", Date.now());
    await advance();
    expect(await house.certificates.get(NAME)).toMatchObject({ status: "deploying" });
    await house.nodes.fault({ name: "lb1", vipPort: 8443 }, "it is down", Date.now());
    await advance();
    expect(await house.certificates.get(NAME)).toMatchObject({ status: "waiting", reason: "node" });
  });
});

it("a removal ends though the port that a node had it for is configured no more", async () => {
  await note("lb1", { ok: true, serial: "0B" }, 444);
  await removeCertificate(house, { id: NAME });
  for (const node of NODES) {
    const [record] = await house.certificates.present([NAME]);
    if (record) await finishRemoval(house.deployDeps, record, { name: node, vipPort: 443 });
  }
  expect(await house.certificates.get(NAME)).toBeUndefined();
});
