/** `certherd reconcile`: what is wrong in Redis, on nodes and in imports. Real Redis, real files, no worker. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { queueNames } from "../../src/queue/names.ts";
import { ledgerOf } from "../../src/runtime/pausing.ts";
import { markRestored } from "../../src/runtime/upkeep.ts";
import { keys, PREFIX } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { certificateMaker, type Made, writeCertificate } from "../support/many-certificates.ts";
import { namesOf, reconciled, run } from "../support/reconciling.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { tempDir } from "../support/temp.ts";

const NAME = "a.example";
const SERIAL = "10000001";
const OLD = 3_600_000;

let server: RedisServer;
let redis: Redis;
let make: (name: string, number: number) => Made;
let opened: TestHouse;
let house: TestHouse["house"];
let account: string;
let folder: string;

beforeAll(async () => {
  server = await startRedis();
  redis = server.client();
  make = await certificateMaker();
}, 120_000);

afterAll(async () => await server.stop());

beforeEach(async () => {
  await redis.flushall();
  await open();
});

afterEach(async () => await opened.close());

/** One certificate that is served by one node, in a folder. */
async function open(): Promise<void> {
  const config = join(tempDir("certherd-reconcile"), "certherd.yaml");
  folder = tempDir("certherd-node");
  const node = { name: "lb1", address: "127.0.0.1", port: 1, target: { files: { folder } } };
  const limits = { newOrders: { count: 300, per: "3h" } };
  const cas = [{ name: "inhouse", directory: "https://ca.invalid/directory", limits }];
  writeFileSync(config, JSON.stringify({ cas, terminations: { 443: { nodes: [node] } } }));
  opened = await openTestHouse(server.url, { CERTHERD_CONFIG: config });
  house = opened.house;
  account = opened.account.name;
  await house.producer.admitOneAtATime(account);
  await markRestored(house);
  await served(NAME, 1);
}

async function served(name: string, number: number): Promise<void> {
  const one = make(name, number);
  const serial = one.record.leaf?.serial ?? "";
  const nodes = { lb1: { ok: true, serial, at: Date.now(), vipPort: 443 } };
  const made: Made = { ...one, record: { ...one.record, status: "serving", nodes, served: serial } };
  writeCertificate(house.config.home, made);
  await house.certificates.restore([made.record]);
}

async function accept(name: string, now = Date.now()): Promise<void> {
  await house.certificates.accept([makeSpec(name)], { now });
}

function admission(name: string, generation = 1) {
  return { id: name, generation, account, priority: 50 };
}

async function jobs(queue: string): Promise<(string | undefined)[]> {
  const found = await house.producer.queue(queue).getJobs(["delayed", "prioritized", "waiting"]);
  return found.map(({ id }) => id).sort();
}

it("finds nothing where all agrees", async () => {
  expect(await reconciled(house, redis)).toEqual({});
});

describe("the sets", () => {
  it("get what they lack of a record", async () => {
    await redis.zrem(keys.certificates, NAME);
    await redis.zrem(keys.status("serving"), NAME);
    await redis.zrem(keys.renewals, NAME);
    await redis.zrem(keys.renewTimes, NAME);
    await redis.hdel(keys.serials, SERIAL);
    await redis.zrem(keys.expiries, NAME);
    const one = [NAME];
    const all = { not_listed: one, wrong_status: one, no_renewal: one, no_expiry: one, wrong_serial: one };
    expect(await reconciled(house, redis)).toEqual(all);
    expect(await house.certificates.page({ status: "serving", limit: 5 })).toHaveLength(1);
    expect(await redis.zscore(keys.renewals, NAME)).not.toBeNull();
    expect(await redis.zscore(keys.renewTimes, NAME)).not.toBeNull();
    expect(await redis.zscore(keys.expiries, NAME)).not.toBeNull();
    expect(await house.certificates.ownersOf([SERIAL])).toEqual([NAME]);
  });

  it("leave the moment of a renewal alone", async () => {
    await redis.zadd(keys.renewals, 5, NAME);
    expect(await reconciled(house, redis)).toEqual({});
    expect(await redis.zscore(keys.renewals, NAME)).toBe("5");
  });

  it("lose what belongs to no record, or to another status", async () => {
    await redis.zadd(keys.certificates, 0, "gone.example");
    await redis.zadd(keys.status("queued"), 0, NAME);
    await redis.zadd(keys.renewals, 1, "gone.example");
    await redis.hset(keys.serials, "0BAD", NAME);
    await redis.zadd(keys.waiting("limit"), 0, NAME);
    await redis.zadd(keys.renewTimes, 1, "gone.example");
    await redis.hset(keys.otherNames, "gone.example", "shop.example");
    const strays = ["0BAD", NAME, NAME, ...Array.from({ length: 4 }, () => "gone.example")];
    expect(await reconciled(house, redis)).toEqual({ stray_entry: strays });
    expect(await redis.zcard(keys.status("queued"))).toBe(0);
    expect(await redis.hkeys(keys.serials)).toEqual([SERIAL]);
  });

  it("get the names that a certificate is found by, and what it waits for", async () => {
    await house.certificates.accept([makeSpec(["w.example", "shop.example"])], { now: 1 });
    await house.certificates.transition("w.example", 1, { status: "waiting", reason: "customer" }, 1);
    await redis.del(keys.otherNames, keys.waiting("customer"));
    const found = await reconciled(house, redis);
    expect(found).toMatchObject({ names_missing: ["w.example"], wrong_status: ["w.example"] });
    expect(await redis.hget(keys.otherNames, "w.example")).toBe("shop.example");
    expect(await redis.zrange(keys.waiting("customer"), "0", "-1")).toEqual(["w.example"]);
  });

  it("are put right for a record that was damaged, from its files; without files a person is told", async () => {
    await redis.hset(keys.certificate(NAME), "spec", "{");
    expect(await reconciled(house, redis)).toEqual({ record_damaged: [NAME] });
    expect(await house.certificates.get(NAME)).toMatchObject({ status: "serving", served: SERIAL });
    await accept("b.example");
    await redis.hset(keys.certificate("b.example"), "status", "nonsense");
    const found = await run(house);
    expect(namesOf(found)).toMatchObject({ record_lost: ["b.example"] });
    expect(await house.certificates.get("b.example")).toBeUndefined();
  });

  it("tell of a port that no certificate asks for", async () => {
    await house.responders.ask(8888);
    await house.responders.ask(9999);
    expect(await reconciled(house, redis)).toEqual({ port_unused: ["9999"] });
  });

  it("let an import end that waited for what has settled", async () => {
    await house.imports.create("one", "one.csv", "digest", Date.now());
    await house.imports.addCertificates("one", [NAME]);
    await redis.sadd(keys.importOpen("one"), NAME);
    await house.imports.finishReading("one", { ...(await house.imports.get("one"))?.counts } as never);
    expect(await house.imports.get("one")).toMatchObject({ open: 1, ended: false });
    expect(await reconciled(house, redis)).toEqual({ import_stuck: ["one"] });
    expect(await house.imports.get("one")).toMatchObject({ open: 0, ended: true });
  });
});

describe("the queues", () => {
  it("get a job for what is on its way and has none", async () => {
    await accept("b.example");
    expect(await reconciled(house, redis)).toEqual({ job_missing: ["b.example"] });
    expect(await jobs(queueNames.admit(account))).toEqual(["a-b.example-1"]);
  });

  it("lose a key that was leaked, so that its certificate gets a job; and a place without a job", async () => {
    const queue = queueNames.admit(account);
    await accept("b.example");
    await house.producer.enqueue([admission("b.example")], Date.now());
    await redis.zrem(`${PREFIX}:${queue}:prioritized`, "a-b.example-1");
    await redis.zadd(`${PREFIX}:${queue}:prioritized`, 1, "a-gone.example-1");
    expect(await reconciled(house, redis)).toEqual({
      job_leaked: [`${queue}/a-b.example-1`],
      job_phantom: [`${queue}/a-gone.example-1`],
      job_missing: ["b.example"],
    });
    expect(await jobs(queue)).toEqual(["a-b.example-1"]);
    expect(await redis.zrange(`${PREFIX}:${queue}:prioritized`, "0", "-1")).toEqual(["a-b.example-1"]);
  });

  it("lose jobs of certificates that are gone, or were asked for anew", async () => {
    await accept("b-2.example");
    await house.certificates.accept([makeSpec("b-2.example")], { now: Date.now(), force: true });
    await house.producer.enqueue(
      [1, 2].map((generation) => admission("b-2.example", generation)),
      Date.now(),
    );
    await house.producer.enqueue([admission("gone.example", 3)], Date.now());
    await house.producer.order(account, { id: "gone.example", generation: 3 }, 50);
    const job = { id: "gone.example", generation: 3, vipPort: 443, node: "lb1", priority: 50 };
    await house.producer.deploy([job, { ...job, serial: "0A" }]);
    const [admit, order, deploy] = [queueNames.admit(account), queueNames.order(account), "deploy-lb1"];
    expect(await reconciled(house, redis)).toEqual({
      job_orphan: [
        `${admit}/a-b-2.example-1`,
        `${admit}/a-gone.example-3`,
        `${deploy}/d-gone.example-0A-443`,
        `${deploy}/x-gone.example-3-443`,
        `${order}/o-gone.example`,
      ],
    });
    expect(await jobs(admit)).toEqual(["a-b-2.example-2"]);
  });

  it("of CAs and nodes that are configured no more are told", async () => {
    await house.certificates.accept([makeSpec("b.example", { ca: "former" })], { now: Date.now() });
    await house.producer.enqueue([{ ...admission("b.example"), account: "former" }], Date.now());
    const job = { id: NAME, generation: 1, vipPort: 443, node: "former", priority: 50, serial: SERIAL };
    await house.producer.deploy([job]);
    expect(await reconciled(house, redis)).toEqual({
      account_gone: ["b.example"],
      queue_gone: ["admit-former", "deploy-former"],
    });
    expect((await run(house)).found.find(({ what }) => what === "queue_gone")?.examples).toContainEqual({
      name: "admit-former",
      detail: "1 jobs",
    });
  });

  it("have admission one at a time again", async () => {
    await house.producer.queue(queueNames.admit(account)).removeGlobalConcurrency();
    expect(await reconciled(house, redis)).toEqual({ admission_opened: [account] });
  });

  it("go on with a removal that stood still", async () => {
    const record = await house.certificates.get(NAME);
    await house.certificates.transition(NAME, record?.generation ?? 0, { status: "removed" }, Date.now());
    expect(await reconciled(house, redis)).toEqual({ removal_stuck: [NAME] });
    expect(await jobs("deploy-lb1")).toEqual([`x-${NAME}-1-443`]);
  });
});

describe("the ledger", () => {
  it("frees what is held for certificates that are gone, and nothing that the CA may have counted", async () => {
    const ledger = ledgerOf(house, account);
    for (const [id, sent] of [
      ["gone.example", false],
      ["sent.example", true],
    ] as const) {
      const holder = `${id}#1`;
      await accept(id);
      await ledger.admit({ id, generation: 1, names: [id], priority: 50, holder, exemption: "none" });
      if (sent) await ledger.sending(holder);
      await redis.del(keys.certificate(id));
      await redis.zrem(keys.certificates, id);
      await redis.zrem(keys.status("queued"), id);
    }
    expect(await reconciled(house, redis)).toEqual({ hold_freed: ["gone.example", "sent.example"] });
    expect(await redis.keys(`${keys.family("holds")}*`)).toEqual([]);
    // Of two tokens the one that was asked for is spent: a token comes every 36 s.
    const left = Number(await redis.get(keys.bucket("newOrders", account, ""))) - Date.now();
    expect(left).toBeGreaterThan(30_000);
    expect(left).toBeLessThanOrEqual(36_000);
  });

  it("frees places in waiting rooms", async () => {
    const room = `certificatesPerDomain:${account}:example`;
    await redis.zadd(`${keys.family("room")}${room}`, 1, "gone.example#1");
    await redis.zadd(`${keys.family("room")}${room}`, 2, `${NAME}#1`);
    expect(await reconciled(house, redis)).toEqual({ room_freed: ["gone.example"] });
    expect(await redis.zrange(`${keys.family("room")}${room}`, "0", "-1")).toEqual([`${NAME}#1`]);
  });
});

describe("nodes", () => {
  it("that are behind get what they lack", async () => {
    const state = { ok: false, at: Date.now(), vipPort: 443 };
    await house.certificates.noteNodes([{ id: NAME, node: "lb1", state }], Date.now());
    await house.nodes.serve(["lb1"]).then((stop) => stop());
    expect(await reconciled(house, redis)).toEqual({ deployment_missing: [NAME] });
    expect(await jobs("deploy-lb1")).toEqual([`d-${NAME}-${SERIAL}-443`]);
  });

  it("that are configured no more are noted", async () => {
    const state = { ok: true, serial: SERIAL, at: Date.now(), vipPort: 443 };
    await house.certificates.noteNodes([{ id: NAME, node: "former", state }], Date.now());
    expect(await reconciled(house, redis)).toEqual({ node_gone: ["former:443"] });
  });

  it("tell what is there of no certificate, which is left there", async () => {
    writeFileSync(join(folder, `${NAME}.pem`), "ours");
    writeFileSync(join(folder, "left.example.pem"), "ours once");
    writeFileSync(join(folder, "README"), "theirs");
    expect(await reconciled(house, redis)).toEqual({ foreign_on_node: ["left.example"] });
    rmSync(folder, { recursive: true });
    expect(await reconciled(house, redis)).toEqual({ node_unreadable: ["lb1:443"] });
    mkdirSync(folder);
  });
});

describe("imports", () => {
  const line = (name: string, at: number) => ({ line: 1, at, spec: makeSpec(name) });

  it("that were accepted and never taken up are queued, once", async () => {
    const at = Date.now() - OLD;
    const header = { import: "20260101T000000-00000001", source: "x.csv", at, notify: "digest" } as const;
    const journal = await house.importFiles.begin(header);
    await journal.append([line("b.example", at), line(NAME, at), line("removed.example", at)]);
    await journal.close();
    await house.removals.note("removed.example", at + 1);
    await house.importFiles.appendSingle([line("b.example", at), line("c.example", at)], at);
    const found = { import_unanswered: ["b.example", "c.example"] };
    expect(await reconciled(house, redis)).toEqual(found);
    expect(await jobs(queueNames.admit(account))).toEqual(["a-b.example-1", "a-c.example-1"]);
    expect(await house.imports.get(header.import)).toMatchObject({ source: "x.csv", open: 1 });
  });

  it("whose reader lives are left to it, and others are taken up", async () => {
    const at = Date.now() - OLD;
    const header = { import: "20260101T000000-00000002", source: "x.csv", at, notify: "digest" } as const;
    const journal = await house.importFiles.begin(header);
    await journal.append([line("b.example", at)]);
    await journal.close();
    await house.imports.create(header.import, "x.csv", "digest", at);
    await house.imports.touch(header.import, Date.now());
    expect(await reconciled(house, redis)).toEqual({});
    await house.imports.touch(header.import, at);
    expect(namesOf(await run(house))).toEqual({ import_abandoned: [header.import] });
    expect(await jobs(queueNames.admit(account))).toEqual(["a-b.example-1"]);
  });
});

it("waits for another process that puts things back", async () => {
  await redis.set(keys.restoring, "other", "PX", 300);
  const startedAt = Date.now();
  await run(house);
  expect(Date.now() - startedAt).toBeGreaterThan(250);
  expect(await redis.exists(keys.restoring)).toBe(0);
});
