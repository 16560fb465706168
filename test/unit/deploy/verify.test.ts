import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { createSecureContext, createServer as createTlsServer, type TlsOptions } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Bundle } from "../../../src/deploy/target.ts";
import {
  isServed,
  probeName,
  served,
  type VerifyOptions,
  verify,
  verifyAll,
} from "../../../src/deploy/verify.ts";
import { generateKey } from "../../../src/pki/keys.ts";
import { makeTestCa, type TestCa } from "../../support/chains.ts";
import { freePort } from "../../support/temp.ts";

const hasIpv6 = Object.values(networkInterfaces()).some((each) =>
  each?.some(({ family }) => family === "IPv6"),
);
/** Of RFC 8446 §6: a fatal alert, unrecognized_name. */
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

let ca: TestCa;
let good: Bundle;
let other: Bundle;
const servers: Server[] = [];
const sockets = new Set<Socket>();

beforeAll(async () => {
  ca = await makeTestCa();
  good = await bundle("a.example", ["a.example", "*.a.example"], "0x0a1b2c3d");
  other = await bundle("b.example", ["b.example"], "0x77");
}, 120_000);

afterAll(() => ca.stop());

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

async function bundle(id: string, names: string[], serial: string): Promise<Bundle> {
  const keyPem = await generateKey("ec256");
  const leafPem = ca.leaf(
    keyPem,
    names.map((name) => `DNS:${name}`),
    serial,
  );
  const printed = ca.openssl(["x509", "-noout", "-serial"], leafPem).trim().replace("serial=", "");
  return { id, names, serial: printed, leafPem, issuersPem: ca.intermediatePem, keyPem };
}

async function listening(server: Server, host = "127.0.0.1") {
  servers.push(server);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket.on("error", () => undefined).on("close", () => sockets.delete(socket)));
  });
  // ::1 and 127.0.0.1 do not share their ports.
  await once(server.listen(host === "127.0.0.1" ? await freePort() : 0, host), "listening");
  return { address: host, port: (server.address() as AddressInfo).port };
}

interface Shown {
  key: string;
  cert: string;
}

const shown = ({ keyPem, leafPem, issuersPem }: Bundle): Shown => ({
  key: keyPem,
  cert: leafPem + issuersPem,
});

/** `choose` tells what is shown under a name; nothing for the default, that of b.example. */
async function tlsServer(
  choose: (name: string) => Shown | undefined,
  options: TlsOptions = {},
  host?: string,
) {
  const server = createTlsServer({
    ...shown(other),
    ...options,
    SNICallback: (name, done) => {
      const found = choose(name);
      done(null, found && createSecureContext(found));
    },
  });
  server.on("tlsClientError", () => undefined);
  server.on("secureConnection", (socket) => socket.on("error", () => undefined).resume());
  return await listening(server, host);
}

const asked: string[] = [];
const all = (found: Shown) => (name: string) => {
  asked.push(name);
  return found;
};

const timeout = 5_000;
const soon: VerifyOptions = { within: 0, timeout };

describe("what is served", () => {
  const chain = (...pems: string[]) => ({ key: good.keyPem, cert: pems.join("") });

  it.each([
    ["TLS 1.2", { maxVersion: "TLSv1.2" }],
    ["TLS 1.3 with AES-128", { minVersion: "TLSv1.3", ciphers: "TLS_AES_128_GCM_SHA256" }],
    ["TLS 1.3 with AES-256", { minVersion: "TLSv1.3", ciphers: "TLS_AES_256_GCM_SHA384" }],
    ["TLS 1.3 with ChaCha20", { minVersion: "TLSv1.3", ciphers: "TLS_CHACHA20_POLY1305_SHA256" }],
    ["TLS 1.3 with a HelloRetryRequest", { minVersion: "TLSv1.3", ecdhCurve: "P-384" }],
    ["TLS 1.2 and client certificates", { maxVersion: "TLSv1.2", requestCert: true }],
  ] satisfies [string, TlsOptions][])("is read with %s", async (_, options) => {
    const at = await tlsServer(all(shown(good)), options);
    const what = await served(at, "a.example", { timeout });
    expect(what.serial).toBe("0A1B2C3D");
    expect(what.serial).toBe(good.serial);
    expect(isServed(what, good)).toBe(true);
    expect(isServed(what, other)).toBe(false);
  });

  it("is the chain as sent, in its order and with whatever does not belong there", async () => {
    const sha256 = (pem: string) =>
      ca
        .openssl(["x509", "-noout", "-fingerprint", "-sha256"], pem)
        .trim()
        .replace(/^.*=|:/g, "");
    const pems = [good.leafPem, ca.rootPem, other.leafPem, ca.intermediatePem];
    const at = await tlsServer(all(chain(...pems)));
    const { fingerprints } = await served(at, "a.example", { timeout });
    expect(fingerprints).toEqual(pems.map(sha256));
  });

  it("is large where the chain is, over several records", async () => {
    const many = Array.from({ length: 60 }, () => ca.rootPem);
    const at = await tlsServer(all(chain(good.leafPem, ca.intermediatePem, ...many)));
    const what = await served(at, "a.example", { timeout });
    expect(what.fingerprints).toHaveLength(62);
    expect(isServed(what, good)).toBe(true);
  });

  it("may have a root behind it", async () => {
    const at = await tlsServer(all(chain(good.leafPem, ca.intermediatePem, ca.rootPem)));
    expect(await verify(at, good, soon)).toEqual({ kind: "served" });
  });

  it.skipIf(!hasIpv6)("is read over IPv6", async () => {
    const at = await tlsServer(all(shown(good)), {}, "::1");
    expect(await verify(at, good, soon)).toEqual({ kind: "served" });
  });

  it("is nothing where the server refuses the name by an alert, and that is not unreachable", async () => {
    const server = createServer((socket) => {
      socket.once("data", () => socket.end(UNRECOGNIZED_NAME));
    });
    const at = await listening(server);
    const what = await served(at, "a.example", { timeout });
    expect(what).toEqual({
      serial: "",
      fingerprints: [],
      refusal: 'it answers with the TLS alert "unrecognized name"',
    });
    expect(await verify(at, good, soon)).toMatchObject({ kind: "wrong", serial: "", differs: "leaf" });
  });

  it("is nothing where nobody speaks TLS", async () => {
    const server = createServer(
      (socket) => void socket.on("data", () => socket.write("HTTP/1.0 400 Bad\r\n\r\n")),
    );
    const what = await served(await listening(server), "a.example", { timeout });
    expect(what).toMatchObject({ serial: "", refusal: "it does not speak TLS on this port" });
  });
});

describe("a node that cannot be reached", () => {
  const unreachable = { code: "node_unreachable", disposition: "unavailable" };

  it("takes no connection", async () => {
    const at = { address: "127.0.0.1", port: await freePort() };
    const error = await served(at, "a.example", { timeout }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject(unreachable);
    expect(String(error)).toContain(`The node at 127.0.0.1:${at.port} refuses the connection.`);
    expect(await verify(at, good, soon)).toMatchObject({ kind: "unreachable", error: unreachable });
  });

  it("takes it and says nothing", async () => {
    const at = await listening(createServer());
    const asking = served(at, "a.example", { timeout: 100 });
    await expect(asking).rejects.toMatchObject({
      ...unreachable,
      message: expect.stringContaining("does not answer within 0.1 s"),
    });
  });

  it.each(["end", "resetAndDestroy"] as const)("breaks it off (%s)", async (how) => {
    const server = createServer((socket) => void socket.once("data", () => socket[how]()));
    await expect(served(await listening(server), "a.example", { timeout })).rejects.toMatchObject({
      ...unreachable,
      message: expect.stringContaining("breaks off the connection"),
    });
  });

  it("is given up when the signal says so", async () => {
    const at = await listening(createServer());
    const ending = new AbortController();
    const asking = verify(at, good, { within: 10_000, timeout, signal: ending.signal });
    ending.abort(new Error("the end"));
    await expect(asking).rejects.toThrow("the end");
  });

  it("is not waited for by each of many certificates", async () => {
    const at = await listening(createServer());
    let connections = 0;
    servers[0]?.on("connection", () => connections++);
    const bundles = Array.from({ length: 60 }, (_, index) => ({ ...other, id: `${index}` }));
    const verdicts = await verifyAll(at, bundles, { within: 0, timeout: 100 });
    expect(new Set([...verdicts.values()].map(({ kind }) => kind))).toEqual(new Set(["unreachable"]));
    expect(verdicts.size).toBe(60);
    // Eight at once, and until all of those have failed, others take the place of the first.
    expect(connections).toBeLessThan(16);
  });
});

describe("a certificate that is looked for", () => {
  it("is asked for under each of its names, a wildcard under one that nobody has", async () => {
    asked.length = 0;
    const at = await tlsServer(all(shown(good)));
    expect(await verify(at, good, soon)).toEqual({ kind: "served" });
    expect(asked.sort()).toEqual(["a.example", "certherd-probe.a.example"]);
    expect(probeName("*.x.example")).toBe("certherd-probe.x.example");
  });

  it("is wrong as soon as one name is, and that one is named", async () => {
    const at = await tlsServer((name) => (name === "a.example" ? shown(good) : undefined));
    expect(await verify(at, good, soon)).toEqual({
      kind: "wrong",
      name: "*.a.example",
      serial: "77",
      differs: "leaf",
      detail: "It serves serial 77.",
    });
  });

  it.each([
    ["no issuer", () => "", "without its issuers"],
    ["another issuer", () => ca.rootPem, "other issuers"],
    ["issuers in the wrong order", () => ca.rootPem + ca.intermediatePem, "in another order"],
  ])("is wrong with %s behind it", async (_, issuers, words) => {
    // As the default: a context that SNI chooses borrows the default one's issuers where it has none.
    const cert = good.leafPem + issuers();
    const at = await tlsServer(() => undefined, { key: good.keyPem, cert });
    const verdict = await verify(at, good, soon);
    expect(verdict).toMatchObject({ kind: "wrong", serial: good.serial, differs: "chain" });
    expect(verdict).toHaveProperty("detail", expect.stringContaining(words));
  });

  it("is waited for, at intervals that grow, until the time is up", async () => {
    let now = 0;
    const slept: number[] = [];
    const at = await tlsServer(() => undefined);
    const verdict = await verify(at, good, {
      within: 3_000,
      timeout,
      clock: { now: () => now },
      sleep: async (ms) => {
        slept.push(ms);
        now += ms;
      },
    });
    expect(verdict).toMatchObject({ kind: "wrong", serial: other.serial });
    expect(slept).toEqual([50, 100, 200, 400, 800, 1_000, 450]);
  });

  it("may come late", async () => {
    let at = 0;
    const place = await tlsServer(() => (Date.now() >= at ? shown(good) : undefined));
    at = Date.now() + 300;
    expect(await verify(place, good, { within: 10_000, timeout })).toEqual({ kind: "served" });
    expect(Date.now()).toBeGreaterThanOrEqual(at);
  });

  it("may be one of many, of which each has its own verdict", async () => {
    let open = 0;
    let most = 0;
    const server = await tlsServer((name) => (name.endsWith("a.example") ? shown(good) : undefined));
    servers[0]?.on("connection", (socket: Socket) => {
      most = Math.max(most, ++open);
      socket.on("close", () => open--);
    });
    const bundles = Array.from({ length: 40 }, (_, index) => ({ ...good, id: `${index}` }));
    const verdicts = await verifyAll(server, [...bundles, { ...good, id: "c", names: ["c.example"] }], soon);
    expect(verdicts.size).toBe(41);
    expect(verdicts.get("c")).toMatchObject({ kind: "wrong", name: "c.example", serial: other.serial });
    verdicts.delete("c");
    expect(new Set([...verdicts.values()].map(({ kind }) => kind))).toEqual(new Set(["served"]));
    // Those that are saying goodbye are still open.
    expect(most).toBeLessThan(20);
  });
});
