import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Config, loadConfig } from "../../../src/config/load.ts";
import { limitsOf } from "../../../src/limits/table.ts";
import { tempDir } from "../../support/temp.ts";

const dir = tempDir("certherd-config");
const path = join(dir, "certherd.yaml");
const SHA256 = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08";
const HOUR = 3_600_000;

function load(yaml: string, env: Record<string, string> = {}): Config {
  writeFileSync(path, yaml);
  return loadConfig({ CERTHERD_CONFIG: path, ...env });
}

/** The example of the documentation, every key of it. */
const WHOLE = `
cas:
  - name: letsencrypt
    limits:
      newOrders: { count: 30, per: 3h }
      certificatesPerDomain: { count: 50, per: 7d }
      certificatesPerNameSet: { count: 5, per: 7d }
      failedAuthorizations: { count: 5, per: 1h }
    domains: { example.com: { certificatesPerDomain: { count: 2000, per: 7d } } }
  - name: inhouse
    directory: https://ca.example/directory
    root: ${join(dir, "root.pem")}
    email: ca@example.com
    profile: short
    eab: { kid: kid-1, hmacFile: ${join(dir, "hmac")} }
spillAfter: 24h
retry: [500ms, 36s, 12m, 1d]
acmeListen: 192.0.2.1
vips: [203.0.113.7]
mail: { from: certs@example.com, notify: each }
activeWhen: { address: 10.0.0.5 }
tokens: [{ name: crm, sha256: ${SHA256}, scopes: [read, enqueue] }]
terminations:
  443:
    nodes:
      - name: canary
        address: 10.0.0.11
        port: 443
        target:
          haproxy: { socket: /run/haproxy/admin.sock, crtList: /etc/haproxy/certs.list, certDir: /etc/haproxy/certs }
  "8443": { nodes: [{ name: lb1, address: 10.0.0.12, port: 443, target: { files: { folder: /srv/certs } } }] }
watch: { every: 1d }
maxImportBytes: 1000
`;
writeFileSync(join(dir, "root.pem"), "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
writeFileSync(join(dir, "hmac"), "c2VjcmV0\n");

describe("the configuration file", () => {
  it("may hold every key of the documentation", () => {
    const config = load(WHOLE);
    expect(config).toMatchObject({
      retry: [500, 36_000, 720_000, 86_400_000],
      acmeListen: "192.0.2.1",
      mail: { from: "certs@example.com", notify: "each" },
      tokens: [{ name: "crm", sha256: SHA256.toLowerCase(), scopes: ["read", "enqueue"] }],
      maxImportBytes: 1_000,
    });
    expect(config.vipPorts).toEqual(new Set([443, 8443]));
    expect(config).toMatchObject({ activeAddress: "10.0.0.5", watchEvery: 24 * HOUR });
    expect(config.cas.map(({ name }) => name)).toEqual(["letsencrypt", "inhouse"]);
    expect(config.cas[1]).toMatchObject({
      directory: "https://ca.example/directory",
      email: "ca@example.com",
      profile: "short",
      root: expect.stringContaining("BEGIN CERTIFICATE"),
      eab: { kid: "kid-1", hmacKey: "c2VjcmV0" },
    });
  });

  it("changes of a CA's limits only what it names; a CA of its own has none built in", () => {
    const [letsencrypt, inhouse] = load(WHOLE).cas;
    const { newOrders, ...others } = letsencrypt.limits.certificates;
    expect(newOrders).toEqual({ count: 30, period: 3 * HOUR });
    expect(others).toEqual({ ...limitsOf("letsencrypt").certificates, newOrders: undefined });
    expect(letsencrypt.limits.requests).toEqual(limitsOf("letsencrypt").requests);
    expect(inhouse?.limits).toEqual(limitsOf("inhouse"));
  });

  it("gives a CA under a name of its own the limits of the directory it points to", () => {
    const { directory } = loadConfig({ CERTHERD_CA: "letsencrypt-staging" }).cas[0];
    const [ca] = load(`cas: [{ name: trial, directory: "${directory}" }]`).cas;
    expect(ca).toMatchObject({ name: "trial", limits: limitsOf("letsencrypt-staging") });
  });

  it("is filled up from the environment, for every CA alike", () => {
    const env = { CERTHERD_ACCOUNT_EMAIL: "ops@example.com" };
    expect(load(WHOLE, env).cas.map(({ email }) => email)).toEqual(["ops@example.com", "ca@example.com"]);
    expect(load("acmeListen: 192.0.2.1", { CERTHERD_ACME_LISTEN: "::1" }).acmeListen).toBe("::1");
  });

  it("lists the CAs in order of preference; CERTHERD_CA puts one of them, or another one, first", () => {
    const names = (ca: string) => load(WHOLE, { CERTHERD_CA: ca }).cas.map(({ name }) => name);
    expect(names("inhouse")).toEqual(["inhouse", "letsencrypt"]);
    expect(names("https://ca.example/directory")).toEqual(["inhouse", "letsencrypt"]);
    expect(names("letsencrypt-staging")).toEqual(["letsencrypt-staging", "letsencrypt", "inhouse"]);
  });

  it.each(["", "# only a comment\n", "{}"])("may be empty: %j", (yaml) => {
    expect(load(yaml)).toEqual(loadConfig({}));
  });
});

describe("what is done about limits and failures", () => {
  it("is Let's Encrypt's advice where nothing is said, and nobody spills to another CA", () => {
    const config = load("");
    expect(config.breaker).toEqual({ after: 20, probe: [30_000, 60_000, 120_000, 300_000] });
    expect(config.patience).toEqual({ giveUpAfter: 7 * 24 * HOUR, failures: 300 });
    expect(config).toMatchObject({ preflight: "require", httpPort: 80, dns: [], vips: [], recheck: {} });
    expect(config.spillAfter).toBeUndefined();
  });

  it("is what the file says, the rest staying as it was", () => {
    const config = load(`
vips: [203.0.113.7, "2001:db8::7"]
spillAfter: 24h
preflight: { giveUpAfter: 3d }
breaker: { after: 5 }
patience: { failures: 50 }
mail: { operator: { to: noc@example.com, relay: mail.example.com } }
cas:
  - name: letsencrypt
    domains: { BÜCHER.example: { certificatesPerDomain: { count: 2000, per: 7d } } }
  - { name: inhouse, directory: "https://ca.example/directory", renewalsExempt: true, caaIdentities: [ca.example] }
`);
    expect(config.vips).toEqual(["203.0.113.7", "2001:db8::7"]);
    expect(config.spillAfter).toBe(24 * HOUR);
    expect(config.recheck).toEqual({ giveUpAfter: 3 * 24 * HOUR });
    expect(config.breaker).toEqual({ after: 5, probe: [30_000, 60_000, 120_000, 300_000] });
    expect(config.patience).toEqual({ giveUpAfter: 7 * 24 * HOUR, failures: 50 });
    expect(config.mail.operator).toEqual({ to: "noc@example.com", relay: "mail.example.com", port: 25 });
    const [letsencrypt, inhouse] = config.cas;
    expect(letsencrypt.limits.domains).toEqual({
      "xn--bcher-kva.example": { count: 2_000, period: 7 * 24 * HOUR },
    });
    expect(letsencrypt).toMatchObject({
      caaIdentities: ["letsencrypt.org"],
      limits: { renewalsExempt: true },
    });
    expect(inhouse).toMatchObject({ caaIdentities: ["ca.example"], limits: { renewalsExempt: true } });
  });

  it.each([
    ["192.0.2.53", ["192.0.2.53:53"]],
    ["192.0.2.53:5353, 192.0.2.54", ["192.0.2.53:5353", "192.0.2.54:53"]],
    ["[2001:db8::53]:5353,2001:db8::54", ["[2001:db8::53]:5353", "[2001:db8::54]:53"]],
  ])("asks the resolvers of CERTHERD_DNS=%s", (text, dns) => {
    expect(loadConfig({ CERTHERD_DNS: text }).dns).toEqual(dns);
  });

  it.each(["localhost", "192.0.2.53:0", "192.0.2.53:99999", "[::1", "192.0.2.53 192.0.2.54"])(
    "refuses CERTHERD_DNS=%s",
    (text) => {
      expect(() => loadConfig({ CERTHERD_DNS: text })).toThrow(/^CERTHERD_DNS holds "/);
    },
  );

  it.each([
    ["vips: [lb.example.com]", "vips.0"],
    ["vips: [lb.example.com]", '"lb.example.com" is no IP address'],
    ["acmeListen: lo", '"lo" is no IP address'],
    ["spillAfter: 0s", '"0s" is too short'],
    [
      "cas: [{ name: letsencrypt, domains: { www.example.com: { certificatesPerDomain: { count: 1, per: 1d } } } }]",
      "give example.com",
    ],
    ["breaker: { after: 0 }", "breaker.after"],
    ["breaker: { probe: [] }", "breaker.probe"],
    ["patience: { failures: 1.5 }", "patience.failures"],
    ["preflight: { recheck: [soon] }", "preflight.recheck.0"],
    [
      "cas: [{ name: letsencrypt, domains: { a_b: { certificatesPerDomain: { count: 1, per: 1d } } } }]",
      "a_b",
    ],
  ])("refuses %s, and names the place", (yaml, place) => {
    expect(() => load(yaml)).toThrow(place);
  });
});

describe("a wrong configuration file is refused in one sentence that names the place:", () => {
  it.each([
    ["cas: [", /cannot be read: /],
    ["- a\n- b", /the file: /],
    ["retries: [1m]", /the file: Unrecognized key: "retries"/],
    ["cas: []", /cas: /],
    ["cas: [{ name: Inhouse }]", /cas\.0\.name: a CA's name is of lower-case letters/],
    ["cas: [{ name: inhouse }]", /The CA "inhouse" is not known by name; give its "directory" URL/],
    ["cas: [{ name: zerossl, directory: ca.example }]", /cas\.0\.directory: /],
    ["cas: [{ name: zerossl }, { name: zerossl }]", /"zerossl" stands twice in cas/],
    ["cas: [{ name: zerossl, root: /nowhere }]", /root of the CA "zerossl" cannot be read: ENOENT/],
    ["cas: [{ name: zerossl, eab: { kid: a } }]", /cas\.0\.eab\.hmacFile: /],
    [
      "cas: [{ name: zerossl, eab: { kid: a, hmacFile: /nowhere } }]",
      /hmacFile of the CA "zerossl" cannot be/,
    ],
    [
      "cas: [{ name: zerossl, eab: { kid: a, hmac: b, hmacFile: c } }]",
      /cas\.0\.eab: Unrecognized key: "hmac"/,
    ],
    ["cas: [{ name: zerossl, limits: { newOrders: { count: 0, per: 3h } } }]", /newOrders\.count: /],
    [
      "cas: [{ name: zerossl, limits: { newOrders: { count: 1, per: 3 h } } }]",
      /newOrders\.per: "3 h" is no duration/,
    ],
    ["cas: [{ name: zerossl, limits: { newOrder: { count: 1, per: 3h } } }]", /Unrecognized key: "newOrder"/],
    [
      "cas: [{ name: zerossl, domains: { a.example: { newOrders: { count: 1, per: 3h } } } }]",
      /domains\.a\.example: /,
    ],
    ["spillAfter: 24", /spillAfter: /],
    ["retry: []", /retry: /],
    ["retry: [1m, 0s]", /retry\.1: "0s" is too short; write it as 500ms, 36s, 12m, 3h or 7d/],
    ["mail: { form: a@example.com }", /mail: Unrecognized key: "form"/],
    ["mail: { notify: never }", /mail\.notify: /],
    ["tokens: [{ name: a, sha256: secret, scopes: [read] }]", /tokens\.0\.sha256: .*64 hex digits/],
    [`tokens: [{ name: a, sha256: ${SHA256}, scopes: [write] }]`, /tokens\.0\.scopes\.0: /],
    [`tokens: [{ name: a, sha256: ${SHA256}, scopes: [] }]`, /tokens\.0\.scopes: /],
    ["terminations: { https: { nodes: [] } }", /terminations\.https: /],
    ["terminations: { 443: { nodes: [{ address: 10.0.0.1 }] } }", /terminations\.443\.nodes\.0\.name: /],
    ["vips: 203.0.113.7", /vips: /],
    ["activeWhen: 10.0.0.5", /activeWhen: /],
    ["maxImportBytes: 100MB", /maxImportBytes: /],
  ])("%s", (yaml, reason) => {
    const message = expect.stringMatching(reason);
    expect(() => load(yaml)).toThrow(expect.objectContaining({ disposition: "usage", message }));
    expect(() => load(yaml)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^The [^\n]+[^.:]\.$/) }),
    );
  });

  it("all that is wrong is told at once", () => {
    expect(() => load("spillAfter: 1\nretry: [x]")).toThrow(/spillAfter: .*; retry\.0: /);
  });
});
