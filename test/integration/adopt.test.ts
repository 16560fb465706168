/** What another ACME client has is taken over: into the files, the index and the accounts. No CA is there to be asked. */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { adopt } from "../../src/adopt/adopt.ts";
import { detectHome } from "../../src/adopt/detect.ts";
import type { AdoptDocument, AdoptedCertificate } from "../../src/adopt/document.ts";
import type { AdoptRequest } from "../../src/adopt/ports.ts";
import { DEFAULTS, lookAt } from "../../src/core/certificate.ts";
import { JobSweep } from "../../src/intake/sweep.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { adoptDeps, inTurn, withLook } from "../../src/runtime/adopt.ts";
import { startRoles } from "../../src/runtime/up.ts";
import { restore } from "../../src/runtime/upkeep.ts";
import { certificateFile } from "../../src/store/files.ts";
import { keys } from "../../src/store/keys.ts";
import { bundleMaker } from "../support/bundles.ts";
import { makeTestCa, type TestCa } from "../support/chains.ts";
import {
  type AcmeShOptions,
  fingerprint,
  writeAcmeSh,
  writeAcmeShAccount,
  writeCertbot,
} from "../support/foreign-homes.ts";
import { type Haproxy, startHaproxy } from "../support/haproxy.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { tempDir, waitUntil } from "../support/temp.ts";
import { haproxyNode, terminationYaml } from "../support/terminations.ts";

/** The one that test houses are configured with. */
const DIRECTORY = "https://ca.invalid/directory";
const ACCOUNT = "https://ca.invalid/acct/7";
const { vipPort, acmePort, priority } = DEFAULTS;

let redis: RedisServer;
let ca: TestCa;
let opened: TestHouse;
let house: TestHouse["house"];
let dir: string;

const { bundle } = bundleMaker(() => ca);

beforeAll(async () => {
  redis = await startRedis();
  ca = await makeTestCa();
}, 120_000);

afterAll(async () => {
  await redis.stop();
  ca.stop();
});

async function open(env: Record<string, string> = {}): Promise<void> {
  opened = await openTestHouse(redis.url, env);
  house = opened.house;
}

beforeEach(async () => {
  await redis.client().flushall();
  await open();
  dir = tempDir("certherd-acmesh");
});

afterEach(async () => {
  await opened.close();
});

async function there(names: string[], options: AcmeShOptions = {}): Promise<string> {
  const made = await bundle(...names);
  return writeAcmeSh(dir, { ...made, directory: DIRECTORY }, options);
}

async function run(more: Partial<AdoptRequest> = {}): Promise<AdoptDocument> {
  const request = { template: { vipPort, acmePort, priority }, force: false, ...more };
  return await adopt(adoptDeps(house, await detectHome(dir)), request);
}

function of({ certificates }: AdoptDocument, name: string): AdoptedCertificate {
  const found = certificates.find((one) => one.name === name && one.action !== "left");
  if (!found) throw new Error(`${name} is not told of`);
  return found;
}

describe("a certificate of another client", () => {
  it("is in files, index and renewals as if it had been issued here", async () => {
    await there(["a.example", "www.a.example"]);
    const mail = { to: "ops@a.example", relay: "mail.a.example", port: 25 };
    const document = await run({ template: { vipPort, acmePort: 8_889, priority, mail } });
    expect(document.counts).toMatchObject({ adopt: 1, refused: 0 });
    const record = await house.certificates.get("a.example");
    expect(record).toMatchObject({
      status: "issued",
      spec: { names: ["a.example", "www.a.example"], acmePort: 8_889, mail, challenge: "http-01" },
      leaf: { ca: house.config.cas[0].name, generation: 1, serial: of(document, "a.example").serial },
    });
    expect(await house.redis.zscore(keys.renewals, "a.example")).toBe(String(record && lookAt(record)));
    const set = await house.certificateFiles.bundle("a.example");
    expect(set?.serial).toBe(record?.leaf?.serial);
    expect(set?.keyPem).toMatch(/^-----BEGIN PRIVATE KEY/);
    const { key } = house.certificateFiles.paths("a.example");
    expect(statSync(key).mode & 0o777).toBe(0o600);
    expect(existsSync(join(house.certificateFiles.folder("a.example"), ".next"))).toBe(false);
    const events = await house.certificates.events("a.example");
    expect(events.map(({ what }) => what)).toEqual(["adopted"]);
    // Told whose they are, files and index are the same.
    const file = await house.certificateFiles.read("a.example");
    expect(record && certificateFile(record, file?.provenance)).toEqual(file);
  });

  it("is there already at the second time, and nothing changes", async () => {
    await there(["a.example"]);
    await run();
    const before = fingerprint(house.certificateFiles.folder("a.example"));
    const document = await run();
    expect(document.counts).toMatchObject({ adopt: 0, there: 1 });
    expect(fingerprint(house.certificateFiles.folder("a.example"))).toBe(before);
    expect(await house.certificates.events("a.example")).toHaveLength(1);
  });

  it("is put into the index when a crash left only its files", async () => {
    await there(["a.example"]);
    await run();
    const record = await house.certificates.get("a.example");
    await house.redis.del(keys.certificate("a.example"), keys.renewals, keys.certificates);
    const document = await run();
    expect(of(document, "a.example").action).toBe("adopt");
    expect(await house.certificates.get("a.example")).toEqual(record);
    expect(await house.redis.zscore(keys.renewals, "a.example")).not.toBeNull();
  });

  it("is taken over when a crash left nothing but its key", async () => {
    await there(["a.example"]);
    await house.certificateFiles.pendingKey("a.example", () => generateKey("ec256"));
    expect((await run()).counts.adopt).toBe(1);
    expect(await house.certificateFiles.bundle("a.example")).toBeDefined();
  });

  it("comes back from its files when Redis is lost, as exempt as before", async () => {
    await there(["a.example"]);
    await run();
    const before = await house.certificates.get("a.example");
    await redis.client().flushall();
    await restore(house);
    expect(await house.certificates.get("a.example")).toEqual(before);
  });

  it("loses nothing when others beside it are bad, each of which says why", async () => {
    const other = await generateKey("ec256");
    await there(["good.example"]);
    await there(["keyless.example"], { files: { "keyless.example.key": undefined } });
    await there(["foreign.example"], { files: { "foreign.example.key": other } });
    await there(["broken.example"], { files: { "broken.example.cer": "junk" } });
    await there(["bare.example"], { files: { "ca.cer": undefined, "fullchain.cer": undefined } });
    const document = await run();
    expect(document.counts).toMatchObject({ adopt: 1, refused: 4 });
    const codes = document.certificates.map(({ name, error }) => [name, error?.code]);
    expect(Object.fromEntries(codes)).toEqual({
      "good.example": undefined,
      "keyless.example": "adopt_no_key",
      "foreign.example": "adopt_key_mismatch",
      "broken.example": "adopt_bad_pem",
      "bare.example": "adopt_no_chain",
    });
    expect(await house.certificates.count()).toBe(1);
    expect(JSON.stringify(document)).not.toContain("PRIVATE KEY");
  });

  it("of two with one name it is the elliptic curve, and the other is told", async () => {
    await there(["a.example"], { ecc: true });
    const rsa = {
      ...(await bundle("a.example")),
      keyPem: await generateKey("rsa2048"),
      directory: DIRECTORY,
    };
    writeAcmeSh(dir, { ...rsa, leafPem: ca.leaf(rsa.keyPem, ["DNS:a.example"], "0x77") }, { ecc: false });
    const document = await run();
    expect(document.certificates.map(({ entry, action }) => [entry, action])).toEqual(
      expect.arrayContaining([
        ["a.example_ecc", "adopt"],
        ["a.example", "left"],
      ]),
    );
    expect((await house.certificates.get("a.example"))?.spec.keyType).toBe("ec256");
  });

  it("is chosen by --only, and a name that is nowhere is told", async () => {
    await there(["a.example"]);
    await there(["b.example"]);
    const document = await run({ only: ["A.example.", "c.example"] });
    expect(document.certificates.map(({ name, action }) => [name, action])).toEqual([
      ["a.example", "adopt"],
      ["c.example", "refused"],
    ]);
    expect(await house.certificates.get("b.example")).toBeUndefined();
  });

  it("by dns-01 is told with its hook, and is renewed so", async () => {
    await there(["*.a.example", "a.example"], { webroot: "dns_cf" });
    const document = await run();
    expect(of(document, "*.a.example").warnings.map(({ code }) => code)).toEqual(["dns_provider_needed"]);
    expect((await house.certificates.get("_.a.example"))?.spec.challenge).toBe("dns-01");
  });

  it("of a CA that is not configured is told with how to stay there", async () => {
    writeAcmeSh(dir, { ...(await bundle("a.example")), directory: "https://other.invalid/dir" });
    const [warning] = of(await run(), "a.example").warnings;
    expect(warning?.sentence).toContain("https://other.invalid/dir");
    expect((await house.certificates.get("a.example"))?.spec.ca).toBeUndefined();
  });

  it("is of certbot just as well", async () => {
    writeCertbot(dir, { ...(await bundle("a.example")), directory: DIRECTORY });
    expect((await run()).counts).toMatchObject({ adopt: 1, refused: 0 });
    expect((await house.certificateFiles.read("a.example"))?.provenance?.directory).toBe(DIRECTORY);
  });
});

describe("a certificate that Certherd has already", () => {
  /** Ours is made older than what is there. */
  async function older(): Promise<void> {
    await there(["a.example"]);
    await run();
    const record = await house.certificates.get("a.example");
    const file = await house.certificateFiles.read("a.example");
    if (!record?.leaf || !file) throw new Error("not adopted");
    const leaf = { ...record.leaf, notBefore: 1_000, issuedAt: 1_000 };
    await house.certificates.restore([{ ...record, leaf }]);
    await house.certificateFiles.saveState("a.example", { ...file, leaf });
    rmSync(join(dir, "a.example_ecc"), { recursive: true });
    await there(["a.example"]);
  }

  it("stays when it is older, unless it is forced; then ports and mail stay", async () => {
    await older();
    const before = await house.certificates.get("a.example");
    expect(of(await run(), "a.example").action).toBe("kept");
    expect(await house.certificates.get("a.example")).toEqual(before);
    const document = await run({ force: true, template: { vipPort: 8_443, acmePort, priority } });
    expect(of(document, "a.example").action).toBe("adopt");
    const after = await house.certificates.get("a.example");
    expect(after?.leaf?.serial).toBe(of(document, "a.example").serial);
    expect(after?.spec).toEqual(before?.spec);
    expect((await house.certificateFiles.bundle("a.example"))?.serial).toBe(after?.leaf?.serial);
    expect((await house.certificateFiles.previousBundle("a.example"))?.serial).toBe(before?.leaf?.serial);
    // The serial of what it had is nobody's any more.
    expect(await house.certificates.ownersOf([before?.leaf?.serial ?? ""])).toEqual([undefined]);
  });

  it("is left alone while it is on its way", async () => {
    await there(["a.example"]);
    await house.enqueuer.enqueue([makeSpec("a.example")]);
    const document = await run({ force: true });
    expect(of(document, "a.example").error?.code).toBe("adopt_busy");
    expect((await house.certificates.get("a.example"))?.status).toBe("queued");
  });

  it("with other names is left alone", async () => {
    await there(["a.example", "www.a.example"]);
    await house.enqueuer.enqueue([makeSpec("a.example")]);
    expect(of(await run({ force: true }), "a.example").error?.code).toBe("adopt_other_names");
  });
});

describe("an account of another client", () => {
  const caName = () => house.config.cas[0].name;

  it("is used from then on, where there was none", async () => {
    const keyPem = await generateKey("ec256");
    await there(["a.example"]);
    writeAcmeShAccount(dir, { directory: DIRECTORY, keyPem, url: ACCOUNT });
    const { accounts } = await run();
    expect(accounts).toMatchObject([{ ca: caName(), url: ACCOUNT, action: "adopt" }]);
    expect(await house.accountFiles.knownKey(caName())).toBe(keyPem);
    expect(await house.accountFiles.load(caName())).toMatchObject({
      url: ACCOUNT,
      directory: DIRECTORY,
      contact: [],
    });
    expect(statSync(house.accountFiles.keyPath(caName())).mode & 0o777).toBe(0o600);
    expect((await run()).accounts).toMatchObject([{ action: "there" }]);
  });

  it("gets its URL at the next time when a crash left only its key", async () => {
    const keyPem = await generateKey("ec256");
    writeAcmeShAccount(dir, { directory: DIRECTORY, keyPem, url: ACCOUNT });
    await house.accountFiles.key(caName(), async () => keyPem);
    await run();
    expect((await house.accountFiles.load(caName()))?.url).toBe(ACCOUNT);
  });

  it("does not replace one of ours", async () => {
    const ours = await house.accountFiles.key(caName(), () => generateKey("ec256"));
    writeAcmeShAccount(dir, { directory: DIRECTORY, keyPem: await generateKey("ec256"), url: ACCOUNT });
    expect((await run()).accounts).toMatchObject([{ action: "kept" }]);
    expect(await house.accountFiles.knownKey(caName())).toBe(ours);
    expect(await house.accountFiles.load(caName())).toBeUndefined();
  });

  it("that is broken loses no certificate", async () => {
    await there(["a.example"]);
    writeAcmeShAccount(dir, { directory: DIRECTORY, keyPem: await generateKey("ec256"), url: ACCOUNT });
    writeFileSync(join(dir, "ca/ca.invalid/directory/account.key"), "junk");
    const document = await run();
    expect(document.accounts).toMatchObject([{ action: "refused", error: { code: "adopt_bad_account" } }]);
    expect(document.counts.adopt).toBe(1);
  });
});

describe("a dry run", () => {
  it("tells the same, and changes nothing: neither there, nor here, nor in Redis", async () => {
    await there(["a.example"]);
    await there(["b.example"], { files: { "b.example.key": undefined } });
    writeAcmeShAccount(dir, { directory: DIRECTORY, keyPem: await generateKey("ec256"), url: ACCOUNT });
    const [source, target] = [fingerprint(dir), fingerprint(house.config.home)];
    const look = async (): Promise<AdoptDocument> =>
      await withLook(house.config, await detectHome(dir), (deps) =>
        adopt(deps, { template: { vipPort, acmePort, priority }, force: false }),
      );
    const dry = await look();
    expect(dry.counts).toMatchObject({ adopt: 1, refused: 1 });
    expect(await redis.client().dbsize()).toBe(0);
    expect([fingerprint(dir), fingerprint(house.config.home)]).toEqual([source, target]);
    const real = await run();
    expect(real.counts).toEqual(dry.counts);
    expect((await look()).counts).toMatchObject({ adopt: 0, there: 1 });
    // Taking over for real changes nothing there either.
    expect(fingerprint(dir)).toBe(source);
  });

  it("starts no Redis and makes no folder where there is none", async () => {
    await there(["a.example"]);
    const home = join(tempDir("certherd-nothing"), "home");
    const { redisUrl: _, ...config } = house.config;
    const dry = await withLook({ ...config, home }, await detectHome(dir), (deps) =>
      adopt(deps, { template: { vipPort, acmePort, priority }, force: false }),
    );
    expect(dry.counts.adopt).toBe(1);
    expect(existsSync(home)).toBe(false);
  });
});

describe("where certificates are brought to nodes", () => {
  let haproxy: Haproxy;

  beforeEach(async () => {
    haproxy = await startHaproxy();
    const path = join(tempDir("certherd-config"), "certherd.yaml");
    writeFileSync(path, terminationYaml([haproxyNode("lb1", haproxy)]));
    await opened.close();
    await open({ CERTHERD_CONFIG: path });
  });

  afterEach(async () => {
    await haproxy.stop();
  });

  it("what was taken over is served, also when adopt died before it had said so", async () => {
    await there(["a.example"]);
    await there(["b.example"]);
    const deps = adoptDeps(house, await detectHome(dir));
    const dying = { ...house.rollouts, deploys: () => true, advance: async () => undefined };
    await adopt(
      { ...deps, ...(deps.write ? { write: { ...deps.write, rollouts: dying } } : {}) },
      { template: { vipPort, acmePort, priority }, force: false, only: ["b.example"] },
    );
    expect((await house.certificates.get("b.example"))?.status).toBe("deploying");
    await run({ only: ["a.example"] });
    const service = await startRoles(house, ["deploy"]);
    try {
      const sweep = new JobSweep(house.restoreDeps);
      for (const name of ["a.example", "b.example"])
        await waitUntil(
          async () => {
            await sweep.turn();
            return (await house.certificates.get(name))?.status === "serving";
          },
          { timeoutMs: 20_000, everyMs: 200, what: `${name} to be served` },
        );
      expect(readdirSync(haproxy.certDir)).toHaveLength(2);
    } finally {
      await service.close();
    }
  });
});

describe("several hosts with a store in common", () => {
  it("another host has it, with its key and the account", async () => {
    const env = { CERTHERD_STORE_KEY: randomBytes(32).toString("base64"), CERTHERD_NODE: "lb1" };
    await opened.close();
    await open(env);
    const keyPem = await generateKey("ec256");
    await there(["a.example"]);
    writeAcmeShAccount(dir, { directory: DIRECTORY, keyPem, url: ACCOUNT });
    expect((await run()).counts.adopt).toBe(1);
    const other = await openTestHouse(redis.url, { ...env, CERTHERD_NODE: "lb2" });
    try {
      const ours = await house.certificateFiles.bundle("a.example");
      expect(ours).toBeDefined();
      expect(await other.house.certificateFiles.bundle("a.example")).toEqual(ours);
      const { name } = other.house.config.cas[0];
      expect(await other.house.accountFiles.knownKey(name)).toBe(keyPem);
      expect((await other.house.accountFiles.load(name))?.url).toBe(ACCOUNT);
    } finally {
      await other.close();
    }
  });
});

describe("two at once", () => {
  it("do not write the same: the second is told to wait, and the turn is free afterwards", async () => {
    const other = await openTestHouse(redis.url, { CERTHERD_NODE: "lb2" });
    try {
      await inTurn(house, async () => {
        const second = inTurn(other.house, async () => 1, 600);
        await expect(second).rejects.toMatchObject({ code: "adopt_running" });
      });
      expect(await inTurn(other.house, async () => 1)).toBe(1);
    } finally {
      await other.close();
    }
  });
});

describe("a home with very many", () => {
  it("is read and written in a bounded number at once, and tells how far it is", async () => {
    const made = await bundle("n.example");
    const count = 300;
    for (let n = 0; n < count; n++) {
      const own = { ...made, names: [`n${n}.example`], directory: DIRECTORY };
      writeAcmeSh(dir, own);
    }
    const steps: string[] = [];
    // All of them are the same certificate, of which one is taken.
    const document = await run({
      onProgress: (step, done, total) => void steps.push(`${step} ${done}/${total}`),
    });
    expect(document.certificates).toHaveLength(count);
    expect(document.counts).toMatchObject({ adopt: 1, left: count - 1 });
    expect(steps.at(-2)).toBe(`read ${count}/${count}`);
    expect(steps.at(-1)).toBe("write 1/1");
  });
});
