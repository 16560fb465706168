/** What is done about a node that does not serve what it was given, with a real TLS server that serves its files. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createSecureContext, createServer, type Server } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { NodeConfig } from "../../src/config/terminations.ts";
import { namesKey } from "../../src/core/certificate.ts";
import { takeBack } from "../../src/deploy/back.ts";
import { NodeDeployment } from "../../src/deploy/node.ts";
import type { Bundle } from "../../src/deploy/target.ts";
import { openTarget } from "../../src/deploy/targets/open.ts";
import { portsOf } from "../../src/runtime/deploy.ts";
import { certificateFile } from "../../src/store/files.ts";
import { bundleMaker } from "../support/bundles.ts";
import { makeTestCa, type TestCa } from "../support/chains.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { tempDir } from "../support/temp.ts";
import { terminationYaml } from "../support/terminations.ts";

const DAY = 86_400_000;
const NAMES = ["a.example", "b.example"];
const ID = "a.example";

let redis: RedisServer;
let ca: TestCa;
let opened: TestHouse;
let house: TestHouse["house"];
let folder: string;
let server: Server;
let deployment: NodeDeployment;
let place: NodeConfig;
/** Somebody has put these there by hand, over the files. */
const overrides = new Map<string, Bundle>();
const make = bundleMaker(() => ca);

beforeAll(async () => {
  redis = await startRedis();
  ca = await makeTestCa();
});

afterAll(async () => {
  ca.stop();
  await redis.stop();
});

beforeEach(async () => {
  await redis.client().flushall();
  overrides.clear();
  folder = join(tempDir("certherd-healing"), "served");
  mkdirSync(folder);
  server = createServer({ SNICallback: (name, done) => done(null, contextOf(name)) });
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const config = join(tempDir("certherd-healing"), "certherd.yaml");
  const node = {
    name: "lb1",
    address: "127.0.0.1",
    port,
    verifyWithin: "100ms",
    target: { files: { folder } },
  };
  writeFileSync(config, terminationYaml([node]));
  opened = await openTestHouse(redis.url, { CERTHERD_CONFIG: config });
  house = opened.house;
  [place] = house.config.terminations.get(443) as [NodeConfig];
  deployment = new NodeDeployment(
    house.deployDeps,
    house.rollouts,
    place,
    openTarget(place, portsOf(house, place)),
  );
  await house.certificates.accept([makeSpec(NAMES)], { now: Date.now() });
});

afterEach(async () => {
  await opened.close();
  await new Promise((resolve) => server.close(resolve));
});

function contextOf(name: string) {
  const other = overrides.get(name);
  if (other) return createSecureContext({ key: other.keyPem, cert: other.leafPem + other.issuersPem });
  const pem = readFileSync(join(folder, `${ID}.pem`), "utf8");
  return createSecureContext({ key: pem, cert: pem });
}

/** As an order leaves it. `age`: milliseconds since it was obtained. */
async function obtain({ age = 0 } = {}): Promise<Bundle> {
  const record = await house.certificates.get(ID);
  if (!record) throw new Error("it is gone");
  const bundle = await make.bundle(...NAMES);
  const now = Date.now() - age;
  const leaf = {
    notBefore: now,
    notAfter: now + 90 * DAY,
    issuer: "CA",
    serial: bundle.serial,
    renewAt: now + 60 * DAY,
    issuedAt: now,
    set: namesKey(NAMES),
    generation: record.generation,
  };
  const file = certificateFile({ ...record, status: "deploying", leaf });
  await house.certificateFiles.pendingKey(ID, async () => bundle.keyPem);
  await house.certificateFiles.commit(ID, { ...bundle, file });
  await house.certificates.transition(ID, record.generation, { status: "deploying", leaf }, Date.now());
  return bundle;
}

async function deploy({ serial }: Bundle) {
  return await deployment.run([{ id: ID, generation: 1, vipPort: 443, serial }]);
}

it("takes a first one away again that is not served", async () => {
  overrides.set("b.example", await make.bundle("b.example"));
  await deploy(await obtain());
  expect(existsSync(join(folder, `${ID}.pem`))).toBe(false);
  expect(await house.certificates.get(ID)).toMatchObject({
    status: "attention",
    detail: expect.stringContaining("It was taken away from lb1 again."),
  });
});

it("goes back to the one that was in use, past one that was never", async () => {
  const first = await obtain({ age: 3_000 });
  await deploy(first);
  expect(await house.certificates.get(ID)).toMatchObject({ status: "serving", served: first.serial });
  overrides.set("b.example", await make.bundle("b.example"));
  await deploy(await obtain({ age: 2_000 }));
  expect(readFileSync(join(folder, `${ID}.pem`), "utf8")).toContain(first.leafPem);
  // The second one was refused; a third one does not make it the one to go back to.
  const third = await obtain();
  await deploy(third);
  expect(readFileSync(join(folder, `${ID}.pem`), "utf8")).toContain(first.leafPem);
  expect(await house.certificates.get(ID)).toMatchObject({ status: "attention", served: first.serial });
});

it("leaves what was in use as it is, where somebody has changed one of its names by hand", async () => {
  const first = await obtain({ age: 3_000 });
  await deploy(first);
  const second = await obtain();
  await deploy(second);
  overrides.set("b.example", await make.bundle("b.example"));
  const at = Date.now();
  await house.certificates.noteNodes([{ id: ID, node: "lb1", state: { ok: false, at, vipPort: 443 } }], at);
  await deploy(second);
  expect(readFileSync(join(folder, `${ID}.pem`), "utf8")).toContain(second.leafPem);
  expect(await house.certificates.get(ID)).toMatchObject({
    status: "attention",
    detail: expect.stringContaining("It is left as it is, as it was in use before."),
  });
});

it("does not bring again what is served already, and tells so where nobody did", async () => {
  const first = await obtain();
  const at = Date.now();
  const state = { ok: true, serial: first.serial, at, vipPort: 443 };
  await house.certificates.noteNodes([{ id: ID, node: "lb1", state }], at);
  await deploy(first);
  expect(existsSync(join(folder, `${ID}.pem`))).toBe(false);
  expect(await house.certificates.get(ID)).toMatchObject({ status: "serving" });
});

it("needs a person where the files tell of an earlier leaf than the index", async () => {
  await obtain({ age: 100_000 });
  const later = { ...(await house.certificates.get(ID))?.leaf, serial: "FF", notBefore: Date.now() + DAY };
  await house.certificates.transition(ID, 1, { status: "deploying", leaf: later as never }, Date.now());
  await deployment.run([{ id: ID, generation: 1, vipPort: 443, serial: "FF" }]);
  expect(await house.certificates.get(ID)).toMatchObject({
    status: "attention",
    error: { code: "files_missing" },
  });
});

it("goes back to what this node served, though another node has never served any", async () => {
  const first = await obtain({ age: 3_000 });
  await deploy(first);
  const record = await house.certificates.get(ID);
  if (!record) throw new Error("it is gone");
  // As it is while another node has been away since the beginning.
  const { served: _, ...elsewhereAway } = record;
  overrides.set("b.example", await make.bundle("b.example"));
  const second = await obtain();
  const target = openTarget(place, portsOf(house, place));
  await target.put([second]);
  const verdict = {
    kind: "wrong",
    name: "b.example",
    serial: "77",
    differs: "leaf",
    detail: "It serves 77.",
  } as const;
  const wrong = [{ record: elsewhereAway, serial: second.serial, verdict }];
  const [back] = await takeBack(house.deployDeps, place, target, wrong, new Map([[ID, first]]));
  expect(readFileSync(join(folder, `${ID}.pem`), "utf8")).toContain(first.leafPem);
  expect(back?.error.message).toContain("has been given back the certificate before it");
});
