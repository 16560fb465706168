import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { AdoptDocument } from "../../src/adopt/document.ts";
import type { AdoptRequest } from "../../src/adopt/ports.ts";
import { lookAt } from "../../src/core/certificate.ts";
import { BOXES, mailGroup } from "../../src/notify/groups.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { restore } from "../../src/runtime/upkeep.ts";
import { certificateFile } from "../../src/store/files.ts";
import { keys } from "../../src/store/keys.ts";
import { DIRECTORY, resultOf, TEMPLATE, takeOver } from "../support/adopting.ts";
import { bundleMaker } from "../support/bundles.ts";
import { makeTestCa, type TestCa } from "../support/chains.ts";
import { type AcmeShOptions, fingerprint, writeAcmeSh, writeCertbot } from "../support/foreign-homes.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { tempDir } from "../support/temp.ts";

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

describe("a certificate of another client", () => {
  it("is in files, index and renewals as if it had been issued here", async () => {
    await there(["a.example", "www.a.example"]);
    const mail = { to: "ops@a.example", relay: "mail.a.example", port: 25 };
    const document = await run({ template: { ...TEMPLATE, acmePort: 8_889, mail } });
    expect(document.counts).toMatchObject({ adopt: 1, refused: 0 });
    const record = await house.certificates.get("a.example");
    expect(record).toMatchObject({
      status: "issued",
      spec: { names: ["a.example", "www.a.example"], acmePort: 8_889, mail, challenge: "http-01" },
      leaf: { ca: house.config.cas[0].name, generation: 1, serial: resultOf(document, "a.example").serial },
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
    expect(resultOf(document, "a.example").action).toBe("adopt");
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
    expect(resultOf(document, "*.a.example").warnings.map(({ code }) => code)).toEqual([
      "dns_provider_needed",
    ]);
    expect((await house.certificates.get("_.a.example"))?.spec.challenge).toBe("dns-01");
  });

  it("of a CA that is not configured is told with how to stay there", async () => {
    writeAcmeSh(dir, { ...(await bundle("a.example")), directory: "https://other.invalid/dir" });
    const [warning] = resultOf(await run(), "a.example").warnings;
    expect(warning?.sentence).toContain("https://other.invalid/dir");
    expect((await house.certificates.get("a.example"))?.spec.ca).toBeUndefined();
  });

  it("is told of together with the others, and not by a mail for each renewal", async () => {
    await there(["a.example"]);
    await there(["b.example"]);
    const mail = { from: "certs@a.example", to: "ops@a.example", relay: "mail.a.example", port: 25 };
    await run({ template: { ...TEMPLATE, mail } });
    for (const record of await house.certificates.present(["a.example", "b.example"]))
      await house.notifier.settled(record, { awaited: false });
    expect(await house.redis.scard(keys.mailBox(BOXES.later, mailGroup(mail, undefined)))).toBe(2);
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
    expect(resultOf(await run(), "a.example").action).toBe("kept");
    expect(await house.certificates.get("a.example")).toEqual(before);
    const document = await run({ force: true, template: { ...TEMPLATE, vipPort: 8_443 } });
    expect(resultOf(document, "a.example").action).toBe("adopt");
    const after = await house.certificates.get("a.example");
    expect(after?.leaf?.serial).toBe(resultOf(document, "a.example").serial);
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
    expect(resultOf(document, "a.example").error?.code).toBe("adopt_busy");
    expect((await house.certificates.get("a.example"))?.status).toBe("queued");
  });

  it("with other names is left alone", async () => {
    await there(["a.example", "www.a.example"]);
    await house.enqueuer.enqueue([makeSpec("a.example")]);
    expect(resultOf(await run({ force: true }), "a.example").error?.code).toBe("adopt_other_names");
  });
});
