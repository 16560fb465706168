/** Redis is lost, or a reader dies: the files tell all that was accepted. Stores only, no worker runs. */
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type CertificateDocument, certificateDocument } from "../../src/core/documents.ts";
import { AppError } from "../../src/core/errors.ts";
import { readRows } from "../../src/intake/csv.ts";
import { importRows } from "../../src/intake/import.ts";
import { ensureJobs } from "../../src/intake/jobs.ts";
import { adoptAbandonedImports, restoreFromFiles } from "../../src/intake/restore.ts";
import { fail } from "../../src/issuance/failure.ts";
import { queueNames } from "../../src/queue/names.ts";
import { importDeps } from "../../src/runtime/imports.ts";
import { certificateFile } from "../../src/store/files.ts";
import { settle } from "../../src/store/settlement.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";

let redis: RedisServer;
let opened: TestHouse;
let house: TestHouse["house"];

beforeAll(async () => {
  redis = await startRedis();
}, 120_000);

afterAll(async () => {
  await redis.stop();
});

beforeEach(async () => {
  await redis.client().flushall();
  opened = await openTestHouse(redis.url);
  house = opened.house;
});

afterEach(async () => {
  await opened.close();
});

async function importCsv(...rows: string[]): Promise<string> {
  const source = Readable.from([Buffer.from(`${rows.join("\n")}\n`)]);
  const csv = readRows(source, { maxBytes: 1_000_000, what: "test.csv" });
  const request = { rows: csv, info: csv.info, source: "test.csv", notify: "digest" } as const;
  const { id, counts } = await importRows(importDeps(house), request);
  expect(counts.rejectedRows).toBe(0);
  return id;
}

async function recordOf(name: string) {
  const record = await house.certificates.get(name);
  if (!record) throw new Error(`${name} is not known.`);
  return record;
}

async function issue(name: string): Promise<void> {
  const [record, now] = [await recordOf(name), Math.floor(Date.now() / 1_000) * 1_000];
  const leaf = { notBefore: now, notAfter: now + 9e6, issuer: "E7", serial: "0AB1", renewAt: now + 6e6 };
  const file = certificateFile({ ...record, status: "issued", leaf });
  await house.certificateFiles.pendingKey(name, async () => "key\n");
  await house.certificateFiles.commit(name, { leafPem: "leaf\n", issuersPem: "ca\n", file });
  await settle(opened.deps(), record, { status: "issued", attempts: 0, leaf });
}

async function failAs(name: string, disposition: "retry" | "attention"): Promise<void> {
  const error = new AppError("It failed.", { code: "dns", disposition, identifier: name });
  await fail(opened.deps(), await recordOf(name), error);
}

async function list(): Promise<CertificateDocument[]> {
  const documents: CertificateDocument[] = [];
  for await (const record of house.certificates.all()) documents.push(certificateDocument(record));
  return documents;
}

/** Jobs waiting for admission: name → milliseconds since the epoch, 0 for at once. */
async function admissions(): Promise<Record<string, number>> {
  const queue = house.producer.queue(queueNames.admit(opened.account.name));
  const jobs = await queue.getJobs(["delayed", "prioritized", "waiting"]);
  const due = jobs.map((job) => [job.id, job.delay > 0 ? job.timestamp + job.delay : 0] as const);
  return Object.fromEntries(due.sort(([a = ""], [b = ""]) => a.localeCompare(b)));
}

async function lose(): Promise<void> {
  await redis.client().flushall();
}

function restore(): Promise<number> {
  return restoreFromFiles(house.restoreDeps);
}

describe("after Redis was lost", () => {
  it("every certificate stands as before, and what was on its way is queued again", async () => {
    const id = await importCsv(
      "issued.example",
      "asked.example;www.asked.example",
      "attention.example",
      "retry.example",
      "a.example",
    );
    await issue("issued.example");
    await failAs("attention.example", "attention");
    await failAs("retry.example", "retry");
    const before = await list();
    const until = (await recordOf("retry.example")).until ?? 0;
    expect(before.map(({ status }) => status)).toEqual([
      "queued",
      "queued",
      "attention",
      "issued",
      "waiting",
    ]);
    await lose();
    expect(await restore()).toBe(3);
    expect(await list()).toEqual(before);
    const queued = await admissions();
    expect(Object.keys(queued)).toEqual(["a-a.example-1", "a-asked.example-1", "a-retry.example-2"]);
    expect(queued["a-retry.example-2"]).toBeCloseTo(until, -3);
    expect(queued["a-asked.example-1"]).toBe(0);
    expect(await house.imports.get(id)).toMatchObject({
      source: "test.csv",
      read: true,
      ended: false,
      open: 2,
    });
    expect((await house.imports.get(id))?.counts).toMatchObject({ rows: 5, accepted: 5 });
  });

  it("what was asked for anew after a removal is asked for, also while a node has the old one", async () => {
    await importCsv("a.example");
    await issue("a.example");
    const state = { ok: true, serial: "0AB1", at: Date.now(), vipPort: 443 };
    await house.certificates.noteNodes([{ id: "a.example", node: "gone", state }], Date.now());
    await house.removals.note("a.example", Date.now());
    await settle(opened.deps(), await recordOf("a.example"), { status: "removed", reason: "person" });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await importCsv("a.example");
    await lose();
    await restore();
    expect(await recordOf("a.example")).toMatchObject({ status: "queued" });
  });

  it("restoring twice changes nothing", async () => {
    await importCsv("a.example", "b.example", "c.example", "d.example");
    await issue("a.example");
    await failAs("b.example", "retry");
    await failAs("c.example", "attention");
    await lose();
    await restore();
    const [before, queued] = [await house.certificates.page({ limit: 10 }), await admissions()];
    const imports = await Promise.all((await house.imports.latest(9)).map((id) => house.imports.get(id)));
    expect(await restore()).toBe(0);
    expect(await ensureJobs(house.restoreDeps)).toBe(0);
    expect(await house.certificates.page({ limit: 10 })).toEqual(before);
    expect(await admissions()).toEqual(queued);
    expect(await Promise.all((await house.imports.latest(9)).map((id) => house.imports.get(id)))).toEqual(
      imports,
    );
  });

  it("restoring where nothing was lost changes nothing", async () => {
    await importCsv("a.example", "b.example", "c.example");
    await issue("a.example");
    await failAs("b.example", "retry");
    const [before, queued] = [await house.certificates.page({ limit: 10 }), await admissions()];
    expect(await restore()).toBe(0);
    expect(await house.certificates.page({ limit: 10 })).toEqual(before);
    expect(await admissions()).toEqual(queued);
  });

  it("an order that was in flight is gone on with", async () => {
    await importCsv("a.example", "b.example");
    const order = { generation: 1, orderUrl: "https://ca/order/1", ca: opened.account.name };
    await house.certificates.claimOrder("a.example", 1, order.orderUrl);
    await house.certificateFiles.savePendingOrder("a.example", order);
    await lose();
    await restore();
    expect((await recordOf("a.example")).orderUrl).toBe("https://ca/order/1");
    expect(await recordOf("b.example")).not.toHaveProperty("orderUrl");
  });

  it("what was asked for last counts, though nothing of it was issued", async () => {
    await importCsv("a.example", "b.example,443,8888,f@example.com,old@example.com,mail.example.com");
    await importCsv(
      "a.example;www.a.example",
      "b.example,443,8888,f@example.com,new@example.com,mail.example.com",
    );
    const before = await list();
    await lose();
    await restore();
    expect(await list()).toEqual(before);
    expect((await recordOf("a.example")).spec.names).toEqual(["a.example", "www.a.example"]);
    expect((await recordOf("b.example")).spec.mail?.to).toBe("new@example.com");
  });

  it("what was asked for anew after it was issued is ordered, and its leaf is kept", async () => {
    await importCsv("a.example");
    await issue("a.example");
    await importCsv("a.example;www.a.example");
    await lose();
    await restore();
    const record = await recordOf("a.example");
    expect(record).toMatchObject({ status: "queued", leaf: { serial: "0AB1" } });
    expect(record.spec.names).toEqual(["a.example", "www.a.example"]);
  });

  it("a failed one that was asked for again is tried again", async () => {
    await importCsv("a.example", "b.example");
    await failAs("a.example", "attention");
    await failAs("b.example", "retry");
    await importCsv("a.example", "b.example");
    const before = await list();
    expect(before.map(({ status }) => status)).toEqual(["queued", "queued"]);
    await lose();
    await restore();
    expect(await list()).toEqual(before);
    expect(Object.values(await admissions())).toContain(0);
  });

  it("certificates asked for one by one are there, each as it was asked for last", async () => {
    const names = [["a.example"], ["b.example"], ["a.example", "www.a.example"]];
    for (const [i, wanted] of names.entries()) {
      const at = Date.now() + i;
      const spec = makeSpec(wanted);
      await house.importFiles.appendSingle([{ line: 0, at, spec }], at);
      await house.enqueuer.enqueue([spec]);
    }
    const before = await list();
    await lose();
    await restore();
    expect(await list()).toEqual(before);
    expect((await list())[0]?.names).toEqual(["a.example", "www.a.example"]);
  });

  it("a line that a crash has cut off costs itself alone", async () => {
    await importCsv("a.example");
    const at = Date.now();
    await house.importFiles.appendSingle([{ line: 0, at, spec: makeSpec("b.example") }], at);
    const journals = readdirSync(house.importFiles.root);
    expect(journals).toHaveLength(2);
    for (const journal of journals)
      appendFileSync(join(house.importFiles.root, journal), '{"line":0,"at":17,"sp');
    await house.importFiles.appendSingle([{ line: 0, at, spec: makeSpec("c.example") }], at);
    await lose();
    await restore();
    expect((await list()).map(({ name }) => name)).toEqual(["a.example", "b.example", "c.example"]);
  });
});

describe("an import whose reader has died", () => {
  /** All that such a reader leaves: its journal, without an end, and its sign of life of a while ago. */
  async function cutOff(silentFor: number, ...names: string[]): Promise<string> {
    const [id, at] = [`cut-${silentFor}`, Date.now() - silentFor];
    const journal = await house.importFiles.begin({ import: id, source: "cut.csv", at, notify: "digest" });
    await journal.append(names.map((name, line) => ({ line, at, spec: makeSpec(name) })));
    await journal.close();
    await house.imports.create(id, "cut.csv", "digest", at);
    return id;
  }

  it("between disk and queue is taken up, and ends with what it had written", async () => {
    const id = await cutOff(61_000, "a.example", "b.example");
    expect(await adoptAbandonedImports(house.restoreDeps)).toEqual([id]);
    expect((await list()).map(({ name, status }) => `${name} ${status}`)).toEqual([
      "a.example queued",
      "b.example queued",
    ]);
    expect(Object.keys(await admissions())).toEqual(["a-a.example-1", "a-b.example-1"]);
    expect(await house.imports.get(id)).toMatchObject({ read: true, ended: false, open: 2 });
    expect(await adoptAbandonedImports(house.restoreDeps)).toEqual([]);
  });

  it("between index and queue is taken up: each certificate gets its job, once", async () => {
    const id = await cutOff(61_000, "a.example", "b.example");
    await house.certificates.accept([makeSpec("a.example")], { importId: id, now: Date.now() });
    await adoptAbandonedImports(house.restoreDeps);
    expect(Object.keys(await admissions())).toEqual(["a-a.example-1", "a-b.example-1"]);
    expect((await recordOf("a.example")).generation).toBe(1);
    expect((await house.imports.get(id))?.open).toBe(2);
  });

  it("is left to its reader while that gives signs of life", async () => {
    await cutOff(30_000, "a.example");
    expect(await adoptAbandonedImports(house.restoreDeps)).toEqual([]);
    expect(await list()).toEqual([]);
  });

  it("is put back from its journal when Redis was lost too", async () => {
    const id = await cutOff(5_000, "a.example");
    await lose();
    await restore();
    expect((await list()).map(({ name }) => name)).toEqual(["a.example"]);
    expect(await house.imports.get(id)).toMatchObject({
      read: true,
      open: 1,
      counts: { rows: 1, accepted: 1 },
    });
  });
});

it("ensureJobs gives a job to what has none, at the moment that it waits for", async () => {
  await importCsv("a.example", "b.example", "c.example", "d.example");
  await issue("d.example");
  await failAs("b.example", "retry");
  const until = (await recordOf("b.example")).until ?? 0;
  await house.producer.queue(queueNames.admit(opened.account.name)).obliterate({ force: true });
  expect(await ensureJobs(house.restoreDeps)).toBe(3);
  const queued = await admissions();
  expect(Object.keys(queued)).toEqual(["a-a.example-1", "a-b.example-2", "a-c.example-1"]);
  expect(queued["a-b.example-2"]).toBeCloseTo(until, -3);
  expect(await ensureJobs(house.restoreDeps)).toBe(0);
});

it("a journal holds what was accepted before it is queued, one line a certificate, for this user alone", async () => {
  const id = await importCsv("a.example", "a.example", "b.example");
  const lines = readFileSync(house.importFiles.path(id), "utf8").trimEnd().split("\n");
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(parsed).toMatchObject([
    { import: id, source: "test.csv", notify: "digest" },
    { line: 1, spec: { names: ["a.example"] } },
    { line: 3, spec: { names: ["b.example"] } },
    { end: { rows: 3, accepted: 2, duplicates: 1 } },
  ]);
});
