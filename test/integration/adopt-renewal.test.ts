/** What certbot and acme.sh have obtained from a real CA is renewed here, with the account that it was obtained with. */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import type { AdoptDocument } from "../../src/adopt/document.ts";
import type { CertificateRecord } from "../../src/core/certificate.ts";
import { exemptionOf } from "../../src/limits/buckets.ts";
import { startRoles } from "../../src/runtime/up.ts";
import type { Role } from "../../src/store/alive.ts";
import { TEMPLATE, takeOver } from "../support/adopting.ts";
import { fingerprint, writeAcmeSh, writeAcmeShAccount } from "../support/foreign-homes.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { makeLimits } from "../support/limits.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { confusesPebble, replacements } from "../support/renewing.ts";
import { makeSpec } from "../support/specs.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";

const run = promisify(execFile);

let redis: RedisServer;
let pebble: Pebble;
let acmePort: number;
let opened: TestHouse;
let house: TestHouse["house"];
let dir: string;

beforeAll(async () => {
  acmePort = await freePort();
  redis = await startRedis();
  // An authorization that stands is used again by the account that has it, and by no other.
  const env = { PEBBLE_WFE_NONCEREJECT: "0", PEBBLE_AUTHZREUSE: "100" };
  pebble = await startPebble({ httpPort: acmePort, env });
}, 120_000);

afterAll(async () => {
  await pebble.stop();
  await redis.stop();
});

async function open(env: Record<string, string> = {}): Promise<void> {
  await redis.client().flushall();
  const ca = { CERTHERD_CA: pebble.directoryUrl, CERTHERD_CA_ROOT: pebble.rootPath };
  opened = await openTestHouse(redis.url, { ...ca, ...env });
  house = opened.house;
}

beforeEach(async () => {
  await open();
  dir = tempDir("certherd-foreign");
});

afterEach(async () => {
  await opened.close();
});

async function adopt(): Promise<AdoptDocument> {
  const before = { source: fingerprint(dir), asked: pebble.requests() };
  const document = await takeOver(house, dir, { template: { ...TEMPLATE, acmePort } });
  expect(fingerprint(dir)).toBe(before.source);
  // Not one request to the CA.
  expect(pebble.requests()).toEqual(before.asked);
  return document;
}

async function recordOf(id: string): Promise<CertificateRecord> {
  const record = await house.certificates.get(id);
  if (!record) throw new Error(`${id} is not known`);
  return record;
}

/** Lets a house work until these are issued. */
async function untilIssued(generation: number, roles: readonly Role[], ...ids: string[]): Promise<void> {
  const service = await startRoles(house, roles);
  try {
    for (const id of ids)
      await waitUntil(
        async () => {
          const { status, leaf, detail } = await recordOf(id);
          if (status === "attention") throw new Error(detail);
          return status === "issued" && leaf?.generation === generation;
        },
        { timeoutMs: 20_000, everyMs: 50, what: `${id} to be issued` },
      );
  } finally {
    await service.close();
  }
}

/** As the schedule does when it is due. */
async function renew(roles: readonly Role[], ...ids: string[]): Promise<void> {
  const records = await Promise.all(ids.map(recordOf));
  const accounts = records.map(({ leaf }) => leaf?.ca);
  await house.enqueuer.enqueue(
    records.map(({ spec }) => spec),
    { force: true, renewal: true, accounts },
  );
  await untilIssued(2, roles, ...ids);
}

function expectExempt(record: CertificateRecord): void {
  const { name } = house.config.cas[0];
  const limits = makeLimits({ renewalsExempt: true });
  expect(exemptionOf(record.spec.names, record.leaf, name, limits, Date.now())).toBe("renewal");
}

describe("certbot", () => {
  async function certbot(...args: string[]): Promise<void> {
    const { certbot: program } = await ensureTools(["certbot"]);
    const folders = ["--config-dir", dir, "--work-dir", tempDir("cb-work"), "--logs-dir", tempDir("cb-logs")];
    const rest = ["--server", pebble.directoryUrl, "-n", "--agree-tos", "-m", "ops@example.com"];
    const env = { ...process.env, REQUESTS_CA_BUNDLE: pebble.rootPath };
    await run(program, [...args, ...folders, ...rest], { env });
  }

  function registered(): string {
    const { host, pathname } = new URL(pebble.directoryUrl);
    const folder = join(dir, "accounts", host, pathname);
    const [hash = ""] = readdirSync(folder);
    return (JSON.parse(readFileSync(join(folder, hash, "regr.json"), "utf8")) as { uri: string }).uri;
  }

  const standalone = () => ["certonly", "--standalone", "--http-01-port", String(acmePort)];

  beforeEach(async () => {
    await certbot(...standalone(), "-d", "one.example.com");
    await certbot(...standalone(), "--key-type", "rsa", "-d", "two.example.com", "-d", "www.two.example.com");
  }, 120_000);

  it("its certificates are renewed with its account, a configured address of mail notwithstanding", async () => {
    await opened.close();
    await open({ CERTHERD_ACCOUNT_EMAIL: "certs@example.com" });
    const document = await adopt();
    expect(document.counts).toMatchObject({ adopt: 2, refused: 0 });
    expect(document.accounts).toMatchObject([{ action: "adopt", url: registered() }]);
    const before = await Promise.all(["one.example.com", "two.example.com"].map(recordOf));
    expect(before.map(({ spec }) => [spec.keyType, spec.names.length])).toEqual([
      ["ec256", 1],
      ["rsa2048", 2],
    ]);
    for (const record of before) expectExempt(record);
    const replaced = replacements(pebble);
    await renew(["respond", "issue"], "one.example.com", "two.example.com");
    expect(replacements(pebble) - replaced).toBe(
      before.filter(({ leaf }) => !confusesPebble(leaf ?? {})).length,
    );
    for (const { id, leaf } of before) {
      const after = await recordOf(id);
      expect(after.leaf?.serial).not.toBe(leaf?.serial);
      expect(after.leaf?.generation).toBe(2);
    }
    const { name } = house.config.cas[0];
    expect((await house.accountFiles.load(name))?.url).toBe(registered());
    expect((await house.certificateFiles.previousBundle("one.example.com"))?.serial).toBe(
      before[0]?.leaf?.serial,
    );
  });

  it("what it renews after that is there already", async () => {
    await adopt();
    await renew(["respond", "issue"], "one.example.com");
    expect((await adopt()).counts).toMatchObject({ adopt: 0, there: 2, refused: 0 });
  });
});

describe("acme.sh", () => {
  /** Issued by another Certherd, and laid out as acme.sh would have it. */
  async function fresh(name: string): Promise<string> {
    await house.enqueuer.enqueue([makeSpec([name, `www.${name}`], { acmePort })]);
    await untilIssued(1, ["respond", "issue"], name);
    const account = await house.accountFiles.load(house.config.cas[0].name);
    const keyPem = await house.accountFiles.knownKey(house.config.cas[0].name);
    const set = await house.certificateFiles.bundle(name);
    if (!account || !keyPem || !set) throw new Error("nothing was issued");
    writeAcmeSh(dir, { ...set, directory: pebble.directoryUrl });
    writeAcmeShAccount(dir, { directory: pebble.directoryUrl, keyPem, url: account.url });
    await opened.close();
    await open();
    return account.url;
  }

  it("its certificates are renewed with its account, whose authorizations still stand", async () => {
    const url = await fresh("sh.example.com");
    const { newAccount, challenge } = pebble.requests();
    expect(await adopt()).toMatchObject({ counts: { adopt: 1 }, accounts: [{ action: "adopt", url }] });
    const before = await recordOf("sh.example.com");
    expectExempt(before);
    const replaced = replacements(pebble);
    await renew(["respond", "issue"], "sh.example.com");
    expect(replacements(pebble) - replaced).toBe(confusesPebble(before.leaf ?? {}) ? 0 : 1);
    expect((await recordOf("sh.example.com")).leaf?.serial).not.toBe(before.leaf?.serial);
    expect((await house.accountFiles.load(house.config.cas[0].name))?.url).toBe(url);
    // No account was registered, and no name had to be validated again.
    expect(pebble.requests()).toMatchObject({ newAccount, challenge });
  });
});
