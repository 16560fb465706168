import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { CertbotHome } from "../../../src/adopt/certbot.ts";
import { generateKey } from "../../../src/pki/keys.ts";
import { type ForeignCertificate, writeCertbot, writeCertbotAccount } from "../../support/foreign-homes.ts";
import { tempDir } from "../../support/temp.ts";

const DIRECTORY = "https://ca.example:14000/dir";
/** Certificates are not looked into here. */
const CERT: ForeignCertificate = {
  names: ["a.example"],
  leafPem: "leaf\n",
  issuersPem: "issuer\n",
  keyPem: "key\n",
  directory: DIRECTORY,
};

let path: string;
let home: CertbotHome;

beforeEach(() => {
  path = tempDir("certherd-certbot");
  home = new CertbotHome(path);
});

describe("a lineage of certbot", () => {
  it("is told with its files, its CA and its account", async () => {
    writeCertbot(path, CERT, { account: "0123", params: [`renew_hook = "logger 'x'"`, "installer = nginx"] });
    expect(await home.read("a.example")).toMatchObject({
      leafPem: "leaf\n",
      keyPem: "key\n",
      issuersPem: "issuer\n",
      directory: DIRECTORY,
      account: "0123",
      challenge: "http-01",
      validatedBy: "standalone",
      first: true,
      afterRenewal: {
        commands: [
          { what: "renew_hook", command: "logger 'x'" },
          { what: "installer", command: "nginx" },
        ],
      },
    });
  });

  it("is not the first one for its names when it was renewed", async () => {
    writeCertbot(path, CERT, { renewals: 3 });
    expect(await home.read("a.example")).toMatchObject({ first: false });
  });

  it("is read from the archive where its links were lost", async () => {
    writeCertbot(path, { ...CERT, leafPem: "old\n" });
    writeFileSync(join(path, "archive/a.example/cert10.pem"), "new\n");
    for (const part of ["privkey", "chain", "fullchain"])
      writeFileSync(join(path, `archive/a.example/${part}10.pem`), part);
    rmSync(join(path, "live"), { recursive: true });
    expect(await home.read("a.example")).toMatchObject({ leafPem: "new\n", keyPem: "privkey" });
  });

  it("is told of hooks that run for every certificate", async () => {
    writeCertbot(path, CERT);
    mkdirSync(join(path, "renewal-hooks/deploy"), { recursive: true });
    writeFileSync(join(path, "renewal-hooks/deploy/nginx.sh"), "");
    expect(await home.read("a.example")).toMatchObject({
      afterRenewal: {
        commands: [{ what: "renewal-hooks/deploy", command: join(path, "renewal-hooks/deploy/nginx.sh") }],
      },
    });
  });

  it("has lost its certificate, or its key", async () => {
    writeCertbot(path, CERT);
    for (const folder of ["live", "archive"])
      rmSync(join(path, folder, "a.example", folder === "live" ? "privkey.pem" : "privkey1.pem"));
    await expect(home.read("a.example")).rejects.toMatchObject({ code: "adopt_no_key" });
    for (const folder of ["live", "archive"]) rmSync(join(path, folder), { recursive: true });
    await expect(home.read("a.example")).rejects.toMatchObject({ code: "adopt_no_certificate" });
  });

  it("is none where there is only a README", async () => {
    writeCertbot(path, CERT);
    writeFileSync(join(path, "live/README"), "");
    expect(await home.entries()).toEqual(["README", "a.example"]);
    expect(await home.read("README")).toBeUndefined();
  });
});

describe("how certbot validated", () => {
  it.each([
    ["webroot", [], "http-01"],
    ["nginx", [], "http-01"],
    ["dns-cloudflare", [], "dns-01"],
    ["certbot-dns-ovh:dns-ovh", [], "dns-01"],
    ["manual", ["pref_challs = dns-01,"], "dns-01"],
    ["manual", ["pref_challs = http-01,"], "http-01"],
  ])("%s %s", async (authenticator, params, challenge) => {
    writeCertbot(path, CERT, { authenticator, params });
    expect(await home.read("a.example")).toMatchObject({ challenge, validatedBy: authenticator });
  });
});

describe("certbot's account", () => {
  it("is found by the directory with its port, and its key is PEM", async () => {
    const keyPem = await generateKey("ec256");
    writeCertbotAccount(path, {
      directory: DIRECTORY,
      keyPem,
      url: "https://ca.example/acct/1",
      name: "0123",
    });
    expect(await home.account(DIRECTORY, undefined)).toMatchObject({
      keyPem,
      url: "https://ca.example/acct/1",
    });
    expect(await home.account("https://ca.example/dir", undefined)).toBeUndefined();
  });

  it("is the one that certificates were ordered with, else the oldest", async () => {
    const account = async (name: string, madeAt: string) =>
      writeCertbotAccount(path, {
        directory: DIRECTORY,
        keyPem: await generateKey("ec256"),
        url: `https://ca.example/acct/${name}`,
        name,
        madeAt,
      });
    await account("aa", "2026-05-01T00:00:00Z");
    await account("bb", "2025-05-01T00:00:00Z");
    expect((await home.account(DIRECTORY, "aa"))?.url).toMatch(/aa$/);
    expect((await home.account(DIRECTORY, "gone"))?.url).toMatch(/bb$/);
  });
});
