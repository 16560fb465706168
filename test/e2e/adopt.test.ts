/** `certherd adopt` as a user runs it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cleanEnvironment, PROJECT } from "../../scripts/stage.ts";
import type { AdoptDocument } from "../../src/adopt/document.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { bundleMaker } from "../support/bundles.ts";
import { Installation } from "../support/certherd.ts";
import { makeTestCa, type TestCa } from "../support/chains.ts";
import {
  type AcmeShOptions,
  fingerprint,
  writeAcmeSh,
  writeAcmeShAccount,
} from "../support/foreign-homes.ts";
import { long } from "../support/long.ts";
import { tempDir, waitUntil } from "../support/temp.ts";

/** Nobody is there, and nobody is asked. */
const DIRECTORY = "https://127.0.0.1:9/dir";
const CA = { CERTHERD_CA: DIRECTORY, CERTHERD_PREFLIGHT: "off" };

let ca: TestCa;
let house: Installation;
let dir: string;

const { bundle } = bundleMaker(() => ca);

beforeAll(async () => {
  ca = await makeTestCa();
}, 120_000);

afterAll(() => ca.stop());

beforeEach(() => {
  house = new Installation({ env: CA });
  dir = tempDir("certherd-acmesh");
});

afterEach(async () => {
  await house.close();
});

async function there(name: string, options: AcmeShOptions = {}): Promise<void> {
  writeAcmeSh(dir, { ...(await bundle(name)), directory: DIRECTORY }, options);
}

describe("certherd adopt", () => {
  it("takes over what is good, says why of the rest, and ends with 1 for that", async () => {
    const keyPem = await generateKey("ec256");
    writeAcmeShAccount(dir, { directory: DIRECTORY, keyPem, url: "https://127.0.0.1:9/acct/1" });
    await there("a.example", { reload: "systemctl reload nginx" });
    await there("b.example", { files: { "b.example.key": undefined } });
    const before = fingerprint(dir);
    const ran = await house.run(["adopt", dir, "--vip-port", "8443"]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain("2 certificates: 1 taken over, 1 cannot be taken over.");
    expect(ran.stdout).toMatch(/b\.example: not taken over: Its private key, .* is missing/);
    expect(ran.stdout).toMatch(/^Account at .*: taken over/m);
    expect(ran.stdout).toContain("Le_ReloadCmd: systemctl reload nginx  (a.example)");
    expect(ran.stdout).toContain(`"${dir}"/acme.sh --cron --home "${dir}"`);
    expect(ran.stdout + ran.stderr).not.toContain("PRIVATE KEY");
    expect(fingerprint(dir)).toBe(before);
    expect(house.audited()).toEqual([`adopt ${dir}`]);
    const [listed, ...others] = await house.list();
    expect(listed).toMatchObject({ name: "a.example", status: "issued" });
    expect(others).toEqual([]);
    const show = await house.json<{ events: { what: string }[] }>("show", "a.example");
    expect(show.events.map(({ what }) => what)).toEqual(["adopted"]);
  });

  it("in a dry run prints a table and leaves no trace", async () => {
    await there("a.example");
    await there("b.example", { files: { "b.example.key": undefined } });
    const ran = await house.run(["adopt", dir, "--dry-run"]);
    expect(ran.code).toBe(1);
    const [head, first, second] = ran.stdout.split("\n");
    expect(head).toMatch(/^NAME +NAMES +CA +EXPIRES +KEY +WHAT HAPPENS$/);
    expect(first).toMatch(/^a\.example +1 +127\.0\.0\.1-9-\w+ +\d{4}-\d\d-\d\d +ec256 +taken over$/);
    expect(second).toMatch(/^b\.example +– .* not taken over: Its private key/);
    expect(readdirSync(house.home)).toEqual([]);
  });

  it("with --json prints one document and nothing else, and ends with 0 where all is well", async () => {
    await there("a.example");
    const ran = await house.run(["adopt", dir, "--json"]);
    expect(ran.code).toBe(0);
    const document = JSON.parse(ran.stdout) as AdoptDocument;
    expect(document).toMatchObject({
      source: { kind: "acme.sh", path: dir },
      dryRun: false,
      counts: { adopt: 1, there: 0, kept: 0, left: 0, refused: 0 },
      certificates: [{ name: "a.example", action: "adopt", keyType: "ec256", challenge: "http-01" }],
    });
  });

  it("ends with 2 for a folder that is nobody's, and for options that are wrong", async () => {
    writeFileSync(join(dir, "x"), "");
    const nobody = await house.run(["adopt", dir]);
    expect(nobody.code).toBe(2);
    expect(nobody.stderr).toMatch(/is neither an acme\.sh home .* nor certbot's folder/);
    await there("a.example");
    const wrong = await house.run(["adopt", dir, "--vip-port", "99999", "-t", "ops@example.com"]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/VIPPort: [\s\S]*RELAYAddr: /);
    expect(existsSync(join(house.home, "certificates"))).toBe(false);
  });

  long("kill -9 in the middle: done again, each is there once and whole", async () => {
    const count = 60;
    for (let n = 0; n < count; n++) await there(`n${n}.example`);
    const folder = join(house.home, "certificates");
    const child = spawn(process.execPath, [join(PROJECT, "bin/certherd.js"), "adopt", dir], {
      env: cleanEnvironment(house.env),
      stdio: "ignore",
    });
    await waitUntil(() => existsSync(folder) && readdirSync(folder).length >= 10, {
      timeoutMs: 20_000,
      everyMs: 1,
    });
    child.kill("SIGKILL");
    await once(child, "exit");
    expect((await house.list()).length).toBeLessThan(count);
    // It waits until the turn of who died has lapsed.
    expect((await house.run(["adopt", dir])).code).toBe(0);
    const listed = await house.list();
    expect(listed.map(({ status }) => status)).toEqual(Array.from({ length: count }, () => "issued"));
    for (const { name } of listed) {
      const files = readdirSync(join(folder, name)).sort();
      const whole = [`${name}.cer`, `${name}.key`, "ca.cer", "certificate.json", "fullchain.cer"];
      expect(files).toEqual(whole.sort());
    }
    const { counts } = await house.json<AdoptDocument>("adopt", dir);
    expect(counts).toMatchObject({ adopt: 0, there: count });
  });
});
