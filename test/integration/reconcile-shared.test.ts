/** `certherd reconcile` where several hosts have a store in common: what is gone here is written again from there. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { markRestored } from "../../src/runtime/upkeep.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { certificateMaker, type Made, writeCertificate } from "../support/many-certificates.ts";
import { reconciled } from "../support/reconciling.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

const NAME = "a.example";
const KEY = randomBytes(32).toString("base64");

let server: RedisServer;
let redis: Redis;
let make: (name: string, number: number) => Made;
let opened: TestHouse;
let house: TestHouse["house"];
let folder: string;

beforeAll(async () => {
  server = await startRedis();
  redis = server.client();
  make = await certificateMaker();
}, 120_000);

afterAll(async () => await server.stop());

beforeEach(async () => {
  await redis.flushall();
  opened = await openTestHouse(server.url, { CERTHERD_STORE_KEY: KEY });
  house = opened.house;
  await house.producer.admitOneAtATime(opened.account.name);
  await markRestored(house);
  const made = make(NAME, 1);
  folder = writeCertificate(house.config.home, made);
  await house.certificates.restore([made.record]);
  // To the store.
  await house.certificateFiles.read(NAME);
});

afterEach(async () => await opened.close());

const files = [`${NAME}.key`, `${NAME}.cer`, "ca.cer", "fullchain.cer", "certificate.json"];

function all(): string[] {
  return files.map((name) => readFileSync(join(folder, name), "utf8"));
}

it("finds nothing where all agrees", async () => {
  expect(await reconciled(house, redis)).toEqual({});
});

it("writes again what is gone or damaged on this disk", async () => {
  const before = all();
  const [key, leaf, json] = [`${NAME}.key`, `${NAME}.cer`, "certificate.json"].map((name) =>
    join(folder, name),
  );
  for (const breaks of [
    () => rmSync(folder, { recursive: true }),
    () => unlinkSync(key ?? ""),
    () => writeFileSync(leaf ?? "", make(NAME, 9).leafPem),
    () => writeFileSync(json ?? "", "{"),
  ]) {
    breaks();
    expect(await reconciled(house, redis)).toEqual({ set_from_store: [NAME] });
    expect(all()).toEqual(before);
    expect(existsSync(join(folder, ".next"))).toBe(false);
  }
});

it("needs a person where the store does not have it either", async () => {
  await redis.del(keys.vault(`certificate/${NAME}`));
  rmSync(folder, { recursive: true });
  expect(await reconciled(house, redis)).toEqual({ files_gone: [NAME] });
});
