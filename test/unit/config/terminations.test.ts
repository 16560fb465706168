import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { hostOf, placesServed } from "../../../src/deploy/places.ts";
import { tempDir } from "../../support/temp.ts";

const path = join(tempDir("certherd-config"), "certherd.yaml");
const FINGERPRINT = Array.from({ length: 32 }, () => "AB").join(":");
const HAPROXY =
  "haproxy: { socket: /run/haproxy.sock, crtList: /etc/haproxy/certs.list, certDir: /etc/haproxy/certs }";
const STUNNEL =
  "stunnel: { config: /etc/stunnel/stunnel.conf, services: /etc/stunnel/conf.d/certherd.conf, certDir: /etc/stunnel/certs, master: https, connect: '127.0.0.1:80', pidFile: /run/stunnel.pid }";
const APPLIANCE = `loadbalancerOrg: { url: "https://10.0.0.2:9443", user: loadbalancer, passwordFile: /etc/p, apiKeyFile: /etc/k, fingerprint: "${FINGERPRINT}", vip: web, backend: { service: web } }`;

const node = (name: string, target: string, more = "") =>
  `      - { name: ${name}, address: 10.0.0.11, target: { ${target} }${more} }`;
const yaml = (...nodes: string[]) => `terminations:\n  443:\n    nodes:\n${nodes.join("\n")}\n`;

function load(text: string, env: Record<string, string> = {}) {
  writeFileSync(path, text);
  return loadConfig({ CERTHERD_CONFIG: path, ...env });
}

describe("terminations", () => {
  it("are none where the file names none, and any VIP port is taken then", () => {
    const config = load("");
    expect(config.terminations.size).toBe(0);
    expect(config.vipPorts).toBeUndefined();
  });

  it("keep the order of their nodes, and fill up what is left out", () => {
    const config = load(
      yaml(node("canary", HAPROXY), node("lb1", STUNNEL, ", port: 8443, verifyWithin: 5s")),
    );
    expect(config.terminations.get(443)).toMatchObject([
      {
        name: "canary",
        vipPort: 443,
        port: 443,
        verifyWithin: 3_000,
        target: { kind: "haproxy", timeout: 5_000 },
      },
      {
        name: "lb1",
        vipPort: 443,
        port: 8443,
        verifyWithin: 5_000,
        target: { kind: "stunnel", reloadEvery: 60_000 },
      },
    ]);
  });

  it("take an appliance's fingerprint as openssl prints it", () => {
    const target = load(yaml(node("a", APPLIANCE))).terminations.get(443)?.[0]?.target;
    expect(target).toMatchObject({ fingerprint: "AB".repeat(32), reload: "stunnel" });
  });

  it.each([
    ["no target", yaml(node("a", "")), /nodes\.0\.target: a node has one target: haproxy/],
    ["two targets", yaml(node("a", `${HAPROXY}, files: { folder: /x }`)), /a node has one target/],
    ["a target that is not known", yaml(node("a", "nginx: {}")), /nodes\.0\.target.*nginx/],
    ["a node twice", yaml(node("a", HAPROXY), node("a", HAPROXY)), /443: the node "a" stands there twice/],
    ["no node", "terminations: { 443: { nodes: [] } }", /give at least one node/],
    ["no port", "terminations: { web: { nodes: [] } }", /terminations\.web/],
    ["a relative path", yaml(node("a", "files: { folder: certs }")), /folder: give a whole path, from \//],
    ["a socket that is none", yaml(node("a", HAPROXY.replace("/run/haproxy.sock", "haproxy"))), /host:port/],
    [
      "options in brackets",
      yaml(node("a", HAPROXY.replace(" }", ", options: '[alpn h2]' }"))),
      /without brackets/,
    ],
    ["a mode that is none", yaml(node("a", "files: { folder: /x, mode: rw }")), /write the mode as 0640/],
    ["a misspelt key", yaml(node("a", HAPROXY.replace("crtList", "crtlist"))), /crtlist/],
    [
      "a list in two terminations",
      `${yaml(node("a", HAPROXY))}\n  8443:\n    nodes:\n      - { name: a, address: 10.0.0.1, target: { ${HAPROXY} } }`,
      /443 and 8443: \S+ of a stands in both/,
    ],
  ])("say what is wrong, and where: %s", (_, text, complaint) => {
    expect(() => load(text)).toThrow(complaint);
  });
});

describe("the nodes that a process deploys to", () => {
  const text = yaml(
    node("lb1", HAPROXY),
    node("lb2", HAPROXY),
    node("lb3", HAPROXY, ", host: lb1"),
    node("app", APPLIANCE),
  );
  const served = (env: Record<string, string>) => {
    const config = load(text, env);
    return [...placesServed(config.terminations, config).keys()];
  };

  it("are those of its host, and what can be reached from anywhere", () => {
    expect(served({ CERTHERD_NODE: "lb1" })).toEqual(["lb1", "lb3", "app"]);
    expect(served({ CERTHERD_NODE: "lb2" })).toEqual(["lb2", "app"]);
    expect(served({ CERTHERD_NODE: "elsewhere" })).toEqual(["app"]);
  });

  it("are all that are not named for another host, where this one was given no name", () => {
    expect(served({})).toEqual(["lb1", "lb2", "app"]);
  });

  it("name the host that has to deploy to them", () => {
    const places = load(text).terminations.get(443) ?? [];
    expect(places.map(hostOf)).toEqual(["lb1", "lb2", "lb1", undefined]);
  });
});
