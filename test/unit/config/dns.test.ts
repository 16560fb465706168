import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { tempDir } from "../../support/temp.ts";

const dir = tempDir("certherd-dns-config");
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const SECRET = Buffer.from("a secret").toString("base64");
const clause = file("clause.key", `key "lb." {\n\talgorithm hmac-sha512;\n\tsecret "${SECRET}";\n};\n`);
const bare = file("bare.key", `${SECRET}\n`);

function load(dns: string, env: Record<string, string> = {}) {
  return loadConfig({ CERTHERD_CONFIG: file("certherd.yaml", `dns:\n${dns}`), ...env }).dns01;
}

const provider = (driver: string, more = "") =>
  `  providers: [{ name: one, zones: [example.com]${more}, ${driver} }]`;
const rfc2136 = (more: string) => provider(`rfc2136: { server: "192.0.2.1", ${more} }`);

describe("the part dns of the configuration", () => {
  it("may be left out", () => {
    expect(loadConfig({ CERTHERD_DNS: "192.0.2.53" }).dns01).toEqual({
      providers: [],
      propagation: { timeout: 300_000, every: 5_000, port: 53 },
      resolvers: ["192.0.2.53:53"],
    });
  });

  it("may hold every key of the documentation", () => {
    const dns = load(`
  providers:
    - name: bind
      zones: [Example.com., bücher.example, _acme-challenge.example.net]
      zone: example.com
      servers: ["192.0.2.1:5353"]
      rfc2136: { server: "[2001:db8::1]:53", keyFile: ${bare}, key: lb-key, algorithm: hmac-sha384, ttl: 30, transport: udp, timeout: 5s }
    - name: hook
      zones: [example.org]
      exec: { command: [/usr/local/bin/hook, --quiet], timeout: 2m }
  propagation: { timeout: 10m, every: 2s, port: 5300 }
  resolvers: [192.0.2.53, "[2001:db8::53]:5353"]`);
    expect(dns).toEqual({
      providers: [
        {
          name: "bind",
          zones: ["example.com", "xn--bcher-kva.example", "_acme-challenge.example.net"],
          zone: "example.com",
          servers: [{ address: "192.0.2.1", port: 5353 }],
          driver: {
            kind: "rfc2136",
            server: { address: "2001:db8::1", port: 53 },
            key: { name: "lb-key", algorithm: "hmac-sha384", secret: Buffer.from("a secret") },
            ttl: 30,
            transport: "udp",
            timeout: 5_000,
          },
        },
        {
          name: "hook",
          zones: ["example.org"],
          servers: [],
          driver: { kind: "exec", command: ["/usr/local/bin/hook", "--quiet"], timeout: 120_000 },
        },
      ],
      propagation: { timeout: 600_000, every: 2_000, port: 5_300 },
      resolvers: ["192.0.2.53:53", "[2001:db8::53]:5353"],
    });
  });

  it("takes name and algorithm from a key file of tsig-keygen", () => {
    expect(load(rfc2136(`keyFile: ${clause}`)).providers[0]?.driver).toMatchObject({
      key: { name: "lb", algorithm: "hmac-sha512", secret: Buffer.from("a secret") },
    });
  });

  it.each([
    [rfc2136(`keyFile: ${bare}`), /does not say the key's name/],
    [rfc2136(`keyFile: ${dir}/none`), /keyFile of the DNS provider "one" cannot be read/],
    [rfc2136(`key: a, keyFile: ${file("bad.key", "not base64!")}`), /no secret in base64/],
    [rfc2136(`key: a, algorithm: hmac-md5, keyFile: ${bare}`), /algorithm/],
    [
      rfc2136(
        `keyFile: ${file("md5.key", `key "a" { algorithm hmac-md5.sig-alg.reg.int; secret "${SECRET}"; };`)}`,
      ),
      /hmac-md5/,
    ],
    [provider(`rfc2136: { server: "a b", key: a, keyFile: ${bare} }`), /is no server/],
    [provider("exec: { command: [hook] }"), /from \//],
    [provider("exec: { command: [/hook] }", ", servers: [ns1.example.com]"), /an IP address/],
    ["  providers: [{ name: one, zones: [example.com] }]", /one driver/],
    ["  providers: [{ name: one, zones: [], exec: { command: [/hook] } }]", /at least one zone/],
    ['  providers: [{ name: one, zones: ["*.example.com"], exec: { command: [/hook] } }]', /is no zone/],
    [
      "  providers: [{ name: one, zones: [a.example], exec: { command: [/hook] } }, { name: two, zones: [a.example], exec: { command: [/hook] } }]",
      /zone of both "one" and "two"/,
    ],
    ["  propagation: { timeout: soon }", /no duration/],
  ])("%s is refused", (yaml, reason) => {
    expect(() => load(yaml)).toThrow(reason);
  });

  it("shows no secret in an error", () => {
    const path = file("secret.key", 'key "a" { algorithm hmac-sha256; secret "s3cr3t!"; };');
    expect(() => load(rfc2136(`keyFile: ${path}`))).toThrow(expect.not.stringContaining("s3cr3t") as Error);
  });
});
