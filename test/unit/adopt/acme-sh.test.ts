/** What acme.sh itself has written, read: fixtures/adopt/acme.sh. */
import { cpSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import { AcmeShHome } from "../../../src/adopt/acme-sh.ts";
import type { Found } from "../../../src/adopt/found.ts";
import { tempDir } from "../../support/temp.ts";

const FIXTURE = fileURLToPath(new URL("../../../fixtures/adopt/acme.sh", import.meta.url));
const DIRECTORY = "https://127.0.0.1:31687/dir";

let path: string;
let home: AcmeShHome;

beforeEach(async () => {
  path = tempDir("certherd-acmesh");
  cpSync(FIXTURE, path, { recursive: true });
  home = await AcmeShHome.open(path);
});

async function found(entry: string): Promise<Found> {
  const one = await home.read(entry);
  if (one === undefined || one === "given up") throw new Error(`${entry} is ${one}`);
  return one;
}

describe("a certificate of acme.sh", () => {
  it("is told with its CA, its order, and how it was validated", async () => {
    const one = await found("www.example.net_ecc");
    expect(one).toMatchObject({
      name: "www.example.net",
      directory: DIRECTORY,
      orderUrl: "https://127.0.0.1:31687/my-order/8ba4zMadoxSMOl6A0z0nebsJySCywc3oJzNz0ZuZZ5I",
      challenge: "http-01",
      validatedBy: "webroot",
      issuedAt: 1_795_898_781_000,
    });
    expect(one.leafPem).toMatch(/^-----BEGIN CERTIFICATE/);
    expect(one.keyPem).toMatch(/^-----BEGIN EC PRIVATE KEY/);
  });

  it("is told with what acme.sh runs, and where it puts copies, after a renewal", async () => {
    const { afterRenewal } = await found("www.example.net_ecc");
    expect(afterRenewal.commands).toEqual([
      { what: "Le_ReloadCmd", command: `logger "reload of 'nginx'"` },
      { what: "Le_RenewHook", command: "systemctl reload nginx" },
      { what: "Le_PostHook", command: `logger 'renewed; it'"'"'s done'` },
    ]);
    expect(afterRenewal.copies).toEqual([
      { what: "Le_RealKeyPath", path: "/etc/ssl/acme/www.example.net.key" },
      { what: "Le_RealFullChainPath", path: "/etc/ssl/acme/www.example.net.pem" },
    ]);
  });

  it("is a wildcard by dns-01, with the hook's name", async () => {
    expect(await found("*.example.org_ecc")).toMatchObject({
      name: "*.example.org",
      challenge: "dns-01",
      validatedBy: "dns_pebble",
    });
  });

  it("has its issuers in the whole chain where ca.cer is missing", async () => {
    const before = (await found("shop.example.com")).issuersPem;
    rmSync(join(path, "shop.example.com/ca.cer"));
    const { issuersPem } = await found("shop.example.com");
    expect(issuersPem.trim()).toBe(before.trim());
  });

  it("is the first one for its names where its key is as old as itself", async () => {
    const key = join(path, "shop.example.com/shop.example.com.key");
    const { issuedAt = 0 } = await found("shop.example.com");
    utimesSync(key, issuedAt / 1_000, issuedAt / 1_000);
    expect((await found("shop.example.com")).first).toBe(true);
    const before = issuedAt / 1_000 - 60 * 86_400;
    utimesSync(key, before, before);
    expect((await found("shop.example.com")).first).toBe(false);
  });
});

describe("what is no certificate that can be used", () => {
  it("is passed over: acme.sh's own folders", async () => {
    expect(await home.read("ca")).toBeUndefined();
    expect(await home.read("account.conf")).toBeUndefined();
  });

  it("was never issued", async () => {
    await expect(home.read("broken.example.com_ecc")).rejects.toMatchObject({ code: "adopt_no_certificate" });
  });

  it("was revoked", async () => {
    const file = join(path, "shop.example.com/shop.example.com");
    rmSync(`${file}.cer`);
    writeFileSync(`${file}.key.revoked`, "");
    await expect(home.read("shop.example.com")).rejects.toThrow(/has revoked it/);
  });

  it("has lost its key", async () => {
    rmSync(join(path, "shop.example.com/shop.example.com.key"));
    await expect(home.read("shop.example.com")).rejects.toMatchObject({ code: "adopt_no_key" });
  });

  it("was given up by `acme.sh --remove`", async () => {
    const conf = join(path, "shop.example.com/shop.example.com.conf");
    renameSync(conf, `${conf}.removed`);
    expect(await home.read("shop.example.com")).toBe("given up");
  });
});

describe("how acme.sh validated", () => {
  it.each([
    ["no", "http-01", "standalone"],
    ["/var/www", "http-01", "webroot"],
    ["nginx:/etc/nginx/x.conf", "http-01", "nginx:/etc/nginx/x.conf"],
    ["alpn", "http-01", "alpn"],
    ["dns", "dns-01", "dns"],
    ["/var/www,dns_cf", "dns-01", "webroot, dns_cf"],
  ])("%s", async (webroot, challenge, validatedBy) => {
    writeFileSync(join(path, "shop.example.com/shop.example.com.conf"), `Le_Webroot='${webroot}'\n`);
    expect(await found("shop.example.com")).toMatchObject({ challenge, validatedBy });
  });
});

describe("acme.sh's account", () => {
  it("is found by the directory, with key and URL", async () => {
    const account = await home.account(DIRECTORY);
    expect(account?.url).toBe("https://127.0.0.1:31687/my-account/156adfe5456323a0");
    expect(account?.keyPem).toMatch(/^-----BEGIN PRIVATE KEY/);
    expect(account?.contact).toEqual(["mailto:ops@example.com"]);
  });

  it("is told without its URL where that is of another key", async () => {
    const key = join(path, "ca/127.0.0.1/dir/account.key");
    cpSync(join(path, "shop.example.com_ecc/shop.example.com.key"), key);
    const account = await home.account(DIRECTORY);
    expect(account?.keyPem).toBeDefined();
    expect(account?.url).toBeUndefined();
  });

  it("is found in homes of old, by the host alone", async () => {
    const host = join(path, "ca/127.0.0.1");
    for (const file of ["account.key", "ca.conf"]) renameSync(join(host, "dir", file), join(host, file));
    expect((await home.account(DIRECTORY))?.url).toMatch(/my-account/);
  });

  it("is none at another CA", async () => {
    expect(await home.account("https://ca.example/dir")).toBeUndefined();
  });

  it("cannot be taken with a key that is broken, whose text is not told", async () => {
    writeFileSync(join(path, "ca/127.0.0.1/dir/account.key"), "-----BEGIN PRIVATE KEY-----\nSECRET\n");
    const error = await home.account(DIRECTORY).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: "adopt_bad_account" });
    expect(String(error)).not.toContain("SECRET");
  });
});
