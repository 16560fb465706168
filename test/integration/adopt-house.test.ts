/** Accounts, dry runs, nodes, several hosts and users: what taking over has to do with besides the certificates. */
import { randomBytes } from "node:crypto";
import { chownSync, existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { adopt } from "../../src/adopt/adopt.ts";
import { detectHome } from "../../src/adopt/detect.ts";
import type { AdoptDocument } from "../../src/adopt/document.ts";
import type { AdoptRequest } from "../../src/adopt/ports.ts";
import { JobSweep } from "../../src/intake/sweep.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { adoptDeps, checkOwner, inTurn, withLook } from "../../src/runtime/adopt.ts";
import { startRoles } from "../../src/runtime/up.ts";
import { ACCOUNT, DIRECTORY, TEMPLATE, takeOver } from "../support/adopting.ts";
import { bundleMaker } from "../support/bundles.ts";
import { makeTestCa, type TestCa } from "../support/chains.ts";
import {
  type AcmeShOptions,
  fingerprint,
  writeAcmeSh,
  writeAcmeShAccount,
} from "../support/foreign-homes.ts";
import { type Haproxy, startHaproxy } from "../support/haproxy.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { tempDir, waitUntil } from "../support/temp.ts";
import { haproxyNode, terminationYaml } from "../support/terminations.ts";

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

const run = (more: Partial<AdoptRequest> = {}): Promise<AdoptDocument> => takeOver(house, dir, more);

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
        adopt(deps, { template: TEMPLATE, force: false }),
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
      adopt(deps, { template: TEMPLATE, force: false }),
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
      { template: TEMPLATE, force: false, only: ["b.example"] },
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

describe("root", () => {
  it("does not write into the folder of another user, who could not read it", async () => {
    const home = tempDir("certherd-owned");
    const own = statSync(home).uid;
    await checkOwner(home, own);
    await checkOwner(join(home, "new"), 0);
    if (own !== 0) await expect(checkOwner(home, 0)).rejects.toMatchObject({ code: "adopt_wrong_user" });
    else {
      chownSync(home, 65_534, 65_534);
      await expect(checkOwner(home)).rejects.toMatchObject({ code: "adopt_wrong_user" });
      await checkOwner(home, 65_534);
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
