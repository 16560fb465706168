import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Config, loadConfig } from "../../../src/config/load.ts";
import { limitsOf } from "../../../src/limits/table.ts";
import { tempDir } from "../../support/temp.ts";

const dir = tempDir("certherd-config");
const PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";

/** Writes a file and returns its path. */
function file(content: string): string {
  const name = createHash("sha256").update(content).digest("hex").slice(0, 12);
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

function refused(env: Record<string, string>, reason: RegExp | string): void {
  const sentence = expect.objectContaining({ disposition: "usage", message: expect.stringMatching(reason) });
  expect(() => loadConfig(env)).toThrow(sentence);
}

describe("without any setting", () => {
  const config = loadConfig({});

  it("uses Let's Encrypt, the private Redis, and addresses that only this host can reach", () => {
    expect(config).toMatchObject({
      home: "/var/lib/certherd",
      cas: [
        { name: "letsencrypt", directory: expect.stringMatching(/^https:/), limits: limitsOf("letsencrypt") },
      ],
      listen: { host: "127.0.0.1", port: 8080 },
      acmeListen: "127.0.0.1",
      tokens: [],
      retry: [60_000, 600_000, 6_000_000, 86_400_000],
      mail: { notify: "digest" },
      preflight: "require",
      httpPort: 80,
    });
    expect(config.node).toMatch(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/);
    for (const absent of ["redisUrl", "apiToken", "vipPorts"]) expect(config).not.toHaveProperty(absent);
    for (const absent of ["root", "email", "eab", "profile"])
      expect(config.cas[0]).not.toHaveProperty(absent);
  });

  it("takes an empty variable for one that is not set", () => {
    const empty = { REDIS_URL: "", CERTHERD_HOME: " ", CERTHERD_CA: "", CERTHERD_CONFIG: "" };
    expect(loadConfig(empty)).toEqual(config);
  });
});

describe("the environment", () => {
  it.each<[string, string, Partial<Config>]>([
    ["CERTHERD_HOME", "/srv/certs/", { home: "/srv/certs" }],
    ["CERTHERD_NODE", "lb-1.example", { node: "lb-1.example" }],
    [
      "REDIS_URL",
      "redis://:secret@redis.example:6380/2",
      { redisUrl: "redis://:secret@redis.example:6380/2" },
    ],
    ["REDIS_URL", "rediss://redis.example", { redisUrl: "rediss://redis.example" }],
    ["REDIS_URL", "unix:///run/redis.sock", { redisUrl: "unix:///run/redis.sock" }],
    ["CERTHERD_API_TOKEN", " t0ken ", { apiToken: "t0ken" }],
    ["CERTHERD_LISTEN", "0.0.0.0:80", { listen: { host: "0.0.0.0", port: 80 } }],
    ["CERTHERD_LISTEN", ":8080", { listen: { host: "0.0.0.0", port: 8080 } }],
    ["CERTHERD_LISTEN", "lb.example:8443", { listen: { host: "lb.example", port: 8443 } }],
    ["CERTHERD_LISTEN", "[::1]:8080", { listen: { host: "::1", port: 8080 } }],
    ["CERTHERD_LISTEN", "[::]:0", { listen: { host: "::", port: 0 } }],
    ["CERTHERD_ACME_LISTEN", "0.0.0.0", { acmeListen: "0.0.0.0" }],
    ["CERTHERD_PREFLIGHT", "off", { preflight: "off" }],
    ["CERTHERD_HTTP_PORT", "5002", { httpPort: 5_002 }],
  ])("%s=%s", (name, value, part) => {
    expect(loadConfig({ [name]: value })).toMatchObject(part);
  });

  it("names a known CA, or gives its directory, with its limits either way", () => {
    const byName = loadConfig({ CERTHERD_CA: "letsencrypt-staging" }).cas;
    expect(byName).toEqual(loadConfig({ CERTHERD_CA: byName[0].directory }).cas);
    expect(byName[0].limits).toEqual(limitsOf("letsencrypt-staging"));
    const own = loadConfig({ CERTHERD_CA: "https://ca.example:9000/acme/directory" }).cas[0];
    expect(own.name).toMatch(/^ca\.example-9000-/);
    expect(own.limits).toEqual(limitsOf("unknown"));
  });

  it("describes the account at the CA", () => {
    const env = {
      CERTHERD_CA: "zerossl",
      CERTHERD_CA_ROOT: file(`${PEM}\n`),
      CERTHERD_ACCOUNT_EMAIL: "ops@example.com",
      CERTHERD_EAB_KID: "kid-1",
      CERTHERD_EAB_HMAC: "c2VjcmV0",
    };
    expect(loadConfig(env).cas[0]).toMatchObject({
      name: "zerossl",
      root: PEM,
      email: "ops@example.com",
      eab: { kid: "kid-1", hmacKey: "c2VjcmV0" },
    });
  });

  it.each([
    ["REDIS_URL", "redis://localhost", (config: Config) => config.redisUrl],
    ["CERTHERD_API_TOKEN", "t0ken", (config: Config) => config.apiToken],
    ["CERTHERD_EAB_HMAC", "c2VjcmV0", (config: Config) => config.cas[0].eab?.hmacKey],
  ] as const)("takes %s from the file that %s_FILE names, too", (name, value, read) => {
    const kid = { CERTHERD_CA: "zerossl", CERTHERD_EAB_KID: name === "CERTHERD_EAB_HMAC" ? "kid-1" : "" };
    expect(read(loadConfig({ ...kid, [`${name}_FILE`]: file(`${value}\n`) }))).toBe(value);
    refused(
      { ...kid, [name]: value, [`${name}_FILE`]: file(value) },
      `${name} and ${name}_FILE are both set`,
    );
    refused({ ...kid, [`${name}_FILE`]: join(dir, "none") }, `${name}_FILE cannot be read: ENOENT`);
  });

  it.each([
    [
      "CERTHERD_CA",
      "letsencrpyt",
      /^CERTHERD_CA is "letsencrpyt"; it must be one of letsencrypt, .*google, or/,
    ],
    ["CERTHERD_CA", "ftp://ca.example/dir", /^CERTHERD_CA is "ftp:/],
    ["CERTHERD_CA", "constructor", /^CERTHERD_CA is "constructor"/],
    ["CERTHERD_CA_ROOT", "/nowhere/root.pem", /^The CERTHERD_CA_ROOT cannot be read: ENOENT/],
    ["CERTHERD_EAB_KID", "kid", /^CERTHERD_EAB_KID and CERTHERD_EAB_HMAC go together/],
    ["CERTHERD_EAB_HMAC", "c2VjcmV0", /^CERTHERD_EAB_KID and CERTHERD_EAB_HMAC go together/],
    ["CERTHERD_LISTEN", "8080", /^CERTHERD_LISTEN is "8080"; write it as host:port, \[::1\]:8080 for IPv6/],
    ["CERTHERD_LISTEN", "::1:8080", /^CERTHERD_LISTEN is "::1:8080"; write it as/],
    ["CERTHERD_LISTEN", "localhost:http", /^CERTHERD_LISTEN is/],
    ["CERTHERD_LISTEN", "localhost:65536", /a port is at most 65535/],
    ["CERTHERD_HTTP_PORT", "0", /^CERTHERD_HTTP_PORT is "0"; it must be a port from 1 to 65535/],
    ["CERTHERD_HTTP_PORT", "80.5", /^CERTHERD_HTTP_PORT is "80.5"/],
    ["CERTHERD_PREFLIGHT", "on", /^CERTHERD_PREFLIGHT is "on"; it must be one of require, warn, off/],
    ["CERTHERD_NODE", "lb 1", /^CERTHERD_NODE is "lb 1"; use letters, digits/],
    [
      "CERTHERD_CONFIG",
      "/nowhere/certherd.yaml",
      /^The configuration file \/nowhere\/certherd.yaml cannot be read: ENOENT/,
    ],
  ])("%s=%s is refused in one sentence", (name, value, reason) => {
    refused({ [name]: value }, reason);
    refused({ [name]: value }, /^[^\n]+\.$/);
  });

  it("never shows what a wrong REDIS_URL holds, as that may be a password", () => {
    for (const url of ["redis.example:6379", "http://:s3cret@redis.example", "s3cret"])
      refused({ REDIS_URL: url }, /^(?!.*s3cret).*REDIS_URL must be a URL such as redis:\/\/host:6379\/0/);
  });

  it("refuses a root that is no certificate", () => {
    mkdirSync(join(dir, "folder"), { recursive: true });
    refused(
      { CERTHERD_CA_ROOT: file("not a certificate") },
      /^The CERTHERD_CA_ROOT, .*holds no PEM certificate/,
    );
    refused({ CERTHERD_CA_ROOT: join(dir, "folder") }, /EISDIR/);
  });
});
