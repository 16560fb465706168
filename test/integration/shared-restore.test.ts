/** Redis is lost under several hosts: each puts back what its own files tell, and the newest certificate stands. */
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type CertificateRecord, isIssued, lookAt } from "../../src/core/certificate.ts";
import { readRows } from "../../src/intake/csv.ts";
import { importRows } from "../../src/intake/import.ts";
import { adoptAbandonedImports } from "../../src/intake/restore.ts";
import { type House, openHouse } from "../../src/runtime/house.ts";
import { importDeps } from "../../src/runtime/imports.ts";
import { restore, restoreIfLost } from "../../src/runtime/upkeep.ts";
import { certificateFile } from "../../src/store/files.ts";
import { keys } from "../../src/store/keys.ts";
import { settle } from "../../src/store/settlement.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { tempDir } from "../support/temp.ts";

const NAME = "a.example";
const STORE_KEY = randomBytes(32).toString("base64");

let redis: RedisServer;
let opened: TestHouse[];
let a: House;
let b: House;

beforeAll(async () => {
  redis = await startRedis();
}, 120_000);

afterAll(async () => {
  await redis.stop();
});

beforeEach(async () => {
  await redis.client().flushall();
  const open = (node: string) =>
    openTestHouse(redis.url, {
      CERTHERD_NODE: node,
      CERTHERD_STORE_KEY: STORE_KEY,
      CERTHERD_HOME: tempDir(`certherd-${node}`),
    });
  opened = [await open("lb1"), await open("lb2")];
  [a, b] = opened.map(({ house }) => house) as [House, House];
});

afterEach(async () => {
  for (const one of opened) await one.close();
});

async function importInto(house: House, ...rows: string[]): Promise<string> {
  const source = Readable.from([Buffer.from(`${rows.join("\n")}\n`)]);
  const csv = readRows(source, { maxBytes: 1_000_000, what: "test.csv" });
  const request = { rows: csv, info: csv.info, source: "test.csv", notify: "digest" } as const;
  return (await importRows(importDeps(house), request)).id;
}

async function recordOf(name = NAME): Promise<CertificateRecord> {
  const record = await a.certificates.get(name);
  if (!record) throw new Error(`${name} is not known.`);
  return record;
}

let made = 0;

/** The present generation is issued by that host; each leaf is a second younger than the one before. */
async function issueOn(house: House, name = NAME): Promise<string> {
  const record = await recordOf(name);
  const at = Date.now() + ++made * 1_000;
  const serial = `0${made}`;
  const times = { notBefore: at, notAfter: at + 9e6, renewAt: at + 6e6, issuedAt: at };
  const leaf = { ...times, issuer: "E7", serial, generation: record.generation };
  await house.certificateFiles.discardPending(name);
  await house.certificateFiles.pendingKey(name, async () => `key ${serial}\n`);
  const file = certificateFile({ ...record, status: "issued", leaf });
  await house.certificateFiles.commit(name, { leafPem: "leaf\n", issuersPem: "ca\n", file });
  const { deps } = opened.find((one) => one.house === house) as TestHouse;
  await settle(deps(), record, { status: "issued", attempts: 0, leaf });
  return serial;
}

async function renewOn(house: House): Promise<string> {
  const { spec } = await recordOf();
  await house.enqueuer.enqueue([spec], { force: true });
  return await issueOn(house);
}

async function lose(): Promise<void> {
  await redis.client().flushall();
}

describe("after Redis was lost under two hosts", () => {
  it.each(["the one with the newest first", "the one with the newest last"])(
    "the newest certificate stands, %s",
    async (order) => {
      await importInto(a, NAME);
      await issueOn(a);
      await b.certificateFiles.read(NAME);
      const newest = await renewOn(b);
      const before = await recordOf();
      await lose();
      for (const house of order.endsWith("first") ? [b, a] : [a, b]) await restore(house);
      expect(await recordOf()).toEqual(before);
      expect(before.leaf?.serial).toBe(newest);
      expect(await a.certificates.page({ status: "issued", limit: 9 })).toHaveLength(1);
      expect(Number(await a.redis.zscore(keys.renewals, NAME))).toBe(lookAt(before));
      for (const house of [a, b]) expect((await house.certificateFiles.bundle(NAME))?.serial).toBe(newest);
    },
  );

  it.each(["a first", "b first"])("what one host has planned with the CA stands, %s", async (order) => {
    await importInto(a, NAME);
    const serial = await issueOn(a);
    await b.certificateFiles.read(NAME);
    const [renewAt, pollAt] = [Date.now() + 5e6, Date.now() + 1e6];
    const plan = { renewAt, schedule: { window: { start: renewAt - 1e5, end: renewAt + 1e5 }, pollAt } };
    await a.certificateFiles.savePlan(NAME, { serial, ...plan });
    await a.renewals.note([{ id: NAME, serial, ...plan, lookAt: pollAt }], Date.now());
    const before = await recordOf();
    await lose();
    for (const house of order.startsWith("b") ? [b, a] : [a, b]) await restore(house);
    expect(await recordOf()).toEqual(before);
    expect(Number(await a.redis.zscore(keys.renewals, NAME))).toBe(pollAt);
  });

  it("each host puts back its own files, once", async () => {
    await importInto(a, NAME);
    await issueOn(a);
    await importInto(b, "b.example");
    await issueOn(b, "b.example");
    await lose();
    await restoreIfLost(a);
    expect(await a.certificates.get("b.example")).toBeUndefined();
    expect(await redis.client().exists(keys.restoredBy("lb1"), keys.restoredBy("lb2"))).toBe(1);
    await restoreIfLost(b);
    expect(await a.certificates.get("b.example")).toMatchObject({ status: "issued" });
    expect(await redis.client().exists(keys.restoredBy("lb1"), keys.restoredBy("lb2"))).toBe(2);
    expect((await a.certificateFiles.bundle("b.example"))?.serial).toBeDefined();
    expect((await b.certificateFiles.bundle(NAME))?.serial).toBeDefined();
  });

  it("what one host would order again has been issued, as another one tells, and its import ends", async () => {
    const id = await importInto(a, NAME);
    const serial = await issueOn(b);
    await lose();
    await restore(a);
    expect(await recordOf()).toMatchObject({ status: "queued" });
    expect(await a.imports.get(id)).toMatchObject({ ended: false, open: 1 });
    await restore(b);
    expect(await recordOf()).toMatchObject({ status: "issued", leaf: { serial } });
    expect(await a.imports.get(id)).toMatchObject({ ended: true, open: 0 });
  });

  it("what was asked for anew since is still to be done, with the newest leaf until then", async () => {
    await importInto(a, NAME);
    await issueOn(a);
    await b.certificateFiles.read(NAME);
    const newest = await renewOn(b);
    await importInto(a, `${NAME};www.${NAME}`);
    await lose();
    await restore(a);
    await restore(b);
    const record = await recordOf();
    expect(record).toMatchObject({ status: "queued", leaf: { serial: newest } });
    expect(record.spec.names).toEqual([NAME, `www.${NAME}`]);
    expect(isIssued(record)).toBe(false);
  });

  it("what a person has paused stays so", async () => {
    await importInto(a, NAME);
    await issueOn(a);
    await settle((opened[0] as TestHouse).deps(), await recordOf(), { status: "paused", reason: "person" });
    await lose();
    await restore(a);
    const stray = await recordOf();
    // Another host's disk has a newer leaf, from before Redis was lost.
    const leaf = { ...(stray.leaf as NonNullable<typeof stray.leaf>), serial: "FF" };
    leaf.issuedAt = (leaf.issuedAt ?? 0) + 1_000_000;
    await b.certificateFiles.pendingKey(NAME, async () => "key\n");
    const file = certificateFile({ ...stray, status: "issued", leaf });
    await b.certificateFiles.commit(NAME, { leafPem: "leaf\n", issuersPem: "ca\n", file });
    await restore(b);
    expect(await recordOf()).toMatchObject({ status: "paused", leaf: { serial: "FF" } });
  });
});

describe("what was removed", () => {
  it("on one host comes back from neither's files", async () => {
    await importInto(b, NAME, "b.example");
    await issueOn(a);
    await b.certificateFiles.read(NAME);
    await a.removals.note(NAME, Date.now());
    await a.certificateFiles.archive(NAME, Date.now() + 1_000_000);
    await b.shared?.certificates.catchUp();
    await lose();
    await restore(a);
    await restore(b);
    expect((await a.certificates.page({ limit: 9 })).map(({ id }) => id)).toEqual(["b.example"]);
  });

  it("and asked for again since is queued", async () => {
    await importInto(a, NAME);
    await a.removals.note(NAME, Date.now());
    await lose();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await importInto(a, NAME);
    await lose();
    await restore(a);
    expect(await recordOf()).toMatchObject({ status: "queued" });
  });
});

describe("a host that comes new", () => {
  it("changes nothing of what is there", async () => {
    await importInto(a, NAME, "b.example");
    await issueOn(a);
    await restore(a);
    const before = await a.certificates.page({ limit: 9 });
    await restore(b);
    expect(await a.certificates.page({ limit: 9 })).toEqual(before);
  });

  it("is told when it has another store key than the others", async () => {
    await a.shared?.vault.check();
    const key = randomBytes(32);
    const config = { ...b.config, storeKey: key };
    await expect(openHouse(config, () => undefined)).rejects.toMatchObject({ code: "store_key_wrong" });
  });

  it("leaves the imports of another host to it", async () => {
    const id = await importInto(a, NAME);
    await a.imports.create(id, "test.csv", "digest", 0);
    await redis.client().zadd(keys.importsReading, 0, id);
    expect(await adoptAbandonedImports(b.restoreDeps)).toEqual([]);
    expect(await adoptAbandonedImports(a.restoreDeps)).toEqual([id]);
  });
});
