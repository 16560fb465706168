/** `certherd reconcile`: what is wrong on disk, or between disk and index. Real Redis, real files. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { generateKey } from "../../src/pki/keys.ts";
import { markRestored } from "../../src/runtime/upkeep.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { certificateMaker, type Made, writeCertificate } from "../support/many-certificates.ts";
import { reconciled, run } from "../support/reconciling.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";

const NAME = "a.example";

let server: RedisServer;
let redis: Redis;
let make: (name: string, number: number) => Made;
let opened: TestHouse;
let house: TestHouse["house"];
let made: Made;
let folder: string;

beforeAll(async () => {
  server = await startRedis();
  redis = server.client();
  make = await certificateMaker();
}, 120_000);

afterAll(async () => await server.stop());

beforeEach(async () => {
  await redis.flushall();
  opened = await openTestHouse(server.url);
  house = opened.house;
  await house.producer.admitOneAtATime(opened.account.name);
  await markRestored(house);
  made = make(NAME, 1);
  folder = put(made);
  await house.certificates.restore([made.record]);
});

afterEach(async () => await opened.close());

function put(certificate: Made): string {
  return writeCertificate(house.config.home, certificate);
}

function path(name: string): string {
  return join(folder, name);
}

function age(file: string, days = 1): void {
  const then = Date.now() / 1_000 - days * 86_400;
  utimesSync(file, then, then);
}

it("finds nothing where all agrees", async () => {
  expect(await reconciled(house, redis)).toEqual({});
  expect((await run(house)).lookedAt).toMatchObject({ folders: 1, certificates: 1 });
});

it("puts back what is missing in the index, with its schedule", async () => {
  put(make("b.example", 2));
  expect(await reconciled(house, redis)).toEqual({ restored: ["b.example"] });
  expect(await house.certificates.get("b.example")).toMatchObject({ status: "issued" });
  expect(await redis.zscore(keys.renewals, "b.example")).not.toBeNull();
});

it("puts all of it back when Redis was lost", async () => {
  put(make("b.example", 2));
  await redis.flushall();
  expect(await reconciled(house, redis)).toMatchObject({ restored: [NAME, "b.example"] });
  expect(await redis.exists(keys.restored)).toBe(1);
});

it("takes a newer leaf from the disk, and tells of an older one", async () => {
  const newer = make(NAME, 3);
  const leaf = { ...made.record.leaf, serial: "10000003", issuedAt: Date.now() } as const;
  put({ ...newer, record: { ...made.record, leaf: { ...made.record.leaf, ...leaf } as never } });
  // Whoever has just written it is about to tell the index.
  expect(await reconciled(house, redis)).toEqual({});
  age(path("certificate.json"));
  expect(await reconciled(house, redis)).toEqual({ newer_on_disk: [NAME] });
  expect((await house.certificates.get(NAME))?.leaf?.serial).toBe("10000003");
  put(made);
  expect(await reconciled(house, redis)).toEqual({ older_on_disk: [NAME] });
});

it("does not bring back what was removed, and archives what is left of it", async () => {
  await redis.flushall();
  await house.producer.admitOneAtATime(opened.account.name);
  await markRestored(house);
  await house.removals.note(NAME, Date.now());
  expect(await reconciled(house, redis)).toEqual({ left_after_removal: [NAME] });
  expect(existsSync(folder)).toBe(false);
  expect(await house.certificates.get(NAME)).toBeUndefined();
});

describe("certificate.json", () => {
  it("is written again from the index where it is damaged or gone", async () => {
    const before = JSON.parse(readFileSync(path("certificate.json"), "utf8"));
    for (const breaks of [
      () => writeFileSync(path("certificate.json"), '{"version":1,"na'),
      () => writeFileSync(path("certificate.json"), '{"version":1}'),
      () => unlinkSync(path("certificate.json")),
    ]) {
      breaks();
      expect(await reconciled(house, redis)).toEqual({ description_rewritten: [NAME] });
      const { provenance: _, ...rest } = before;
      expect(JSON.parse(readFileSync(path("certificate.json"), "utf8"))).toEqual(rest);
    }
  });

  it("needs a person where the index does not know the certificate, or another leaf of it", async () => {
    const other = put(make("b.example", 2));
    writeFileSync(join(other, "certificate.json"), "");
    expect(await reconciled(house, redis)).toEqual({ damaged_description: [other] });
    rmSync(other, { recursive: true });
    put(make(NAME, 9));
    writeFileSync(path("certificate.json"), "{");
    expect(await reconciled(house, redis)).toEqual({ damaged_description: [folder] });
  });

  it("of another certificate than the folder's is told, and is not taken into the index", async () => {
    const other = put(make("b.example", 2));
    const wrong = join(house.config.home, "certificates/c.example");
    renameSync(other, wrong);
    expect(await reconciled(house, redis)).toEqual({ misnamed_folder: [wrong] });
    expect(await house.certificates.count()).toBe(1);
  });
});

describe("keys and chains", () => {
  it("that are missing or do not belong together need a person", async () => {
    const key = readFileSync(path(`${NAME}.key`));
    unlinkSync(path(`${NAME}.key`));
    expect(await reconciled(house, redis)).toEqual({ key_missing: [NAME] });
    for (const type of ["ec256", "ec384", "rsa2048"] as const) {
      writeFileSync(path(`${NAME}.key`), await generateKey(type), { mode: 0o600 });
      expect(await reconciled(house, redis)).toEqual({ key_unfit: [NAME] });
    }
    writeFileSync(path(`${NAME}.key`), key);
    writeFileSync(path(`${NAME}.cer`), "nothing of the kind\n");
    expect(await reconciled(house, redis)).toEqual({ leaf_damaged: [NAME] });
    writeFileSync(path(`${NAME}.cer`), make(NAME, 7).leafPem);
    expect(await reconciled(house, redis)).toEqual({ other_leaf: [NAME] });
    unlinkSync(path(`${NAME}.cer`));
    expect(await reconciled(house, redis)).toEqual({ leaf_missing: [NAME] });
  });

  it("are made whole where the rest tells how", async () => {
    for (const name of ["ca.cer", "fullchain.cer"]) {
      const before = readFileSync(path(name), "utf8");
      unlinkSync(path(name));
      expect(await reconciled(house, redis)).toEqual({ chain_rewritten: [path(name)] });
      expect(readFileSync(path(name), "utf8")).toBe(before);
    }
  });

  it("that others can read are closed, the one before too", async () => {
    mkdirSync(path("previous"));
    copyFileSync(path(`${NAME}.key`), path(`previous/${NAME}.key`));
    for (const name of [`${NAME}.key`, `previous/${NAME}.key`]) {
      chmodSync(path(name), 0o640);
      expect(await reconciled(house, redis)).toEqual({ open_key: [path(name)] });
      expect(statSync(path(name)).mode & 0o777).toBe(0o600);
    }
  });
});

describe("what a process that died has left", () => {
  it("is finished, where a whole set was to be moved", async () => {
    const record = {
      ...made.record,
      leaf: { ...made.record.leaf, serial: "10000005", issuedAt: Date.now() },
    };
    await house.certificateFiles.pendingKey(NAME, async () => made.keyPem);
    const elsewhere = make(NAME, 5);
    writeFileSync(path(".next/cert.pem"), elsewhere.leafPem);
    writeFileSync(path(".next/ca.pem"), elsewhere.issuersPem);
    writeFileSync(path(".next/fullchain.pem"), elsewhere.leafPem + elsewhere.issuersPem);
    const file = { ...JSON.parse(readFileSync(path("certificate.json"), "utf8")), leaf: record.leaf };
    writeFileSync(path(".next/certificate.json"), JSON.stringify(file));
    expect(await reconciled(house, redis)).toEqual({});
    age(path(".next/certificate.json"));
    expect(await reconciled(house, redis)).toEqual({ unfinished_set: [folder], newer_on_disk: [NAME] });
    expect(readFileSync(path(`${NAME}.cer`), "utf8")).toBe(elsewhere.leafPem);
    expect(existsSync(path(".next"))).toBe(false);
    expect((await house.certificates.get(NAME))?.leaf?.serial).toBe("10000005");
  });

  it("is removed when it is old, and left when it may be somebody's", async () => {
    for (const name of [".previous-0a", ".tmp-1b"]) {
      mkdirSync(path(name));
      writeFileSync(path(`${name}/x`), "");
    }
    expect(await reconciled(house, redis)).toEqual({});
    age(path(".previous-0a"));
    age(path(".tmp-1b"));
    expect(await reconciled(house, redis)).toEqual({ leftover: [path(".previous-0a"), path(".tmp-1b")] });
    expect(existsSync(path(".tmp-1b"))).toBe(false);
  });

  it("of an order is removed only when nobody can go on with it", async () => {
    await house.certificateFiles.savePendingOrder(NAME, { generation: 2, orderUrl: "https://ca/2", ca: "x" });
    await house.certificates.accept([makeSpec(NAME)], { now: Date.now(), force: true });
    age(path(".next"), 9);
    expect(await reconciled(house, redis)).toEqual({ job_missing: [NAME] });
    expect(existsSync(path(".next"))).toBe(true);
    await house.producer.withdraw(opened.account.name, { id: NAME, generation: 2 });
    await house.certificates.restore([made.record]);
    await redis.zrem(keys.status("queued"), NAME);
    expect(await reconciled(house, redis)).toEqual({ order_left: [path(".next")] });
    expect(existsSync(path(".next"))).toBe(false);
  });
});

it("tells of what is not Certherd's, and leaves it", async () => {
  const root = join(house.config.home, "certificates");
  writeFileSync(join(root, "notes.txt"), "mine");
  mkdirSync(join(root, "backup"));
  writeFileSync(join(root, "backup/x"), "mine");
  const found = { foreign_file: [join(root, "backup"), join(root, "notes.txt")] };
  expect(await reconciled(house, redis)).toEqual(found);
  expect((await run(house)).count("person")).toBe(0);
});

it("tells of a certificate whose files are gone", async () => {
  rmSync(folder, { recursive: true });
  expect(await reconciled(house, redis)).toEqual({ files_gone: [NAME] });
  expect((await run(house)).count("person")).toBe(1);
});
