import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCertherd, stopProcess } from "../../scripts/stage.ts";
import { type Bind, startBind } from "../support/bind.ts";
import { Installation } from "../support/certherd.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { freePort, waitUntil } from "../support/temp.ts";

const ZONE = "example.test";

interface ImportDocument {
  accepted: number;
  rejected: { column: string; reason: string }[];
  certificates: { name: string; status: string; error?: { code: string } }[];
}

describe("wildcards by dns-01, through all roles, with the names looked at before", () => {
  let bind: Bind;
  let pebble: Pebble;
  let house: Installation;

  beforeAll(async () => {
    bind = await startBind({
      zones: [
        { name: ZONE, records: ["_acme-challenge.shop IN CNAME shop.acme.test."] },
        { name: "acme.test" },
      ],
      // So that there is something to wait for.
      lagging: true,
    });
    pebble = await startPebble({
      httpPort: await freePort(),
      dnsServer: bind.primary,
      env: { PEBBLE_WFE_NONCEREJECT: "0" },
    });
    house = new Installation({
      env: {
        CERTHERD_CA: pebble.directoryUrl,
        CERTHERD_CA_ROOT: pebble.rootPath,
        CERTHERD_LISTEN: `127.0.0.1:${await freePort()}`,
        CERTHERD_DNS: bind.primary,
      },
    });
    const keyFile = join(house.home, "dns.key");
    copyFileSync(bind.key.file, keyFile);
    house.config(`
dns:
  providers:
    - { name: bind, zones: [${ZONE}, acme.test], rfc2136: { server: "${bind.primary}", keyFile: ${keyFile}, ttl: 1 } }
  propagation: { timeout: 30s, every: 500ms, port: ${bind.port} }
`);
  });

  afterAll(async () => {
    await house?.close();
    await pebble?.stop();
    await bind?.stop();
  });

  const all = async (): Promise<string[]> =>
    [await bind.txt(`_acme-challenge.${ZONE}`), await bind.txt("shop.acme.test")].flat();

  it("the configuration is right", async () => {
    expect((await house.run(["config", "check"])).code).toBe(0);
  });

  it("rows become certificates, without a word on the challenge, and nothing is left in DNS", async () => {
    const csv = house.csv("wild.csv", [`*.${ZONE} ${ZONE}`, `*.shop.${ZONE}`, "*.strange.test"]);
    const { stdout, code } = await house.run(["import", csv, "--wait", "--json"]);
    const { accepted, certificates } = JSON.parse(stdout) as ImportDocument;
    expect(code).toBe(1);
    expect(accepted).toBe(3);
    expect(certificates.map(({ name, status, error }) => [name, status, error?.code]).sort()).toEqual([
      [`*.${ZONE}`, "issued", undefined],
      [`*.shop.${ZONE}`, "issued", undefined],
      ["*.strange.test", "attention", "dns_provider_missing"],
    ]);
    const cer = join(house.home, `certificates/_.${ZONE}/_.${ZONE}.cer`);
    const text = execFileSync("openssl", ["x509", "-in", cer, "-noout", "-ext", "subjectAltName"], {
      encoding: "utf8",
    });
    expect(text).toContain(`DNS:*.${ZONE}`);
    expect(text).toMatch(new RegExp(`DNS:${ZONE.replace(".", "\\.")}`));
    // The process that waited has removed them before it ended.
    expect(await all()).toEqual([]);
    expect((await house.list()).find(({ name }) => name === `*.${ZONE}`)?.serial).toMatch(/^[0-9A-F]+$/);
  });

  it("killed while the name servers are waited for, it goes on with the same order and leaves nothing in DNS", async () => {
    const log = join(house.home, "up.log");
    let up = startCertherd(["up"], house.env, log);
    const name = `_acme-challenge.killed.${ZONE}`;
    try {
      await house.run(["import", house.csv("killed.csv", [`*.killed.${ZONE}`])]);
      await waitUntil(async () => (await bind.txt(name)).length > 0, { what: "the TXT to be set" });
      const orders = pebble.requests().newOrder ?? 0;
      up.kill("SIGKILL");
      up = startCertherd(["up"], house.env, log);
      const issued = join(house.home, `certificates/_.killed.${ZONE}/fullchain.cer`);
      await waitUntil(() => existsSync(issued), { timeoutMs: 45_000, what: "the certificate" });
      await waitUntil(async () => (await bind.txt(name)).length === 0, { what: "the TXT to be removed" });
      expect(pebble.requests().newOrder).toBe(orders);
    } finally {
      await stopProcess(up);
    }
  }, 90_000);

  it("the secret is in no log, event, error or answer", async () => {
    const shown = await house.run(["config", "check", "--json"]);
    const grep = () =>
      execFileSync("grep", ["-rl", bind.key.secret, house.home, "--exclude=dns.key"], { encoding: "utf8" });
    expect(shown.stdout).not.toContain(bind.key.secret);
    expect(grep).toThrow();
  });
});
