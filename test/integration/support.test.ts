/** The servers that the other tests stand on: each starts, does what is said of it, and is gone after stop(). */

import { Resolver } from "node:dns/promises";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createTransport } from "nodemailer";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import { startGate } from "../support/gate.ts";
import { httpRequest, httpText } from "../support/http.ts";
import { startPebble } from "../support/pebble.ts";
import { startRedis } from "../support/redis.ts";
import { startSmtp } from "../support/smtp.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";
import { Turns } from "../support/turns.ts";

vi.setConfig({ testTimeout: 30_000 });

// On a bare machine this fetches them, which takes longer than a test may.
beforeAll(async () => {
  await ensureTools(["redis", "openssl", "pebble", "pebble-challtestsrv"]);
}, 300_000);

const stops: (() => Promise<void>)[] = [];

/** Stopped after the test, even when it fails. */
function keep<T extends { stop(): Promise<void> }>(server: T): T {
  stops.push(() => server.stop());
  return server;
}

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("temp", () => {
  it("gives folders that only their owner may read", () => {
    expect(statSync(tempDir("certherd-test")).mode & 0o777).toBe(0o700);
  });

  it("says what it waited for in vain, and why", async () => {
    const failing = () => Promise.reject(new Error("not there"));
    const wait = waitUntil(failing, { timeoutMs: 30, everyMs: 5, what: "the impossible" });
    await expect(wait).rejects.toThrow(
      expect.objectContaining({ message: expect.stringContaining("impossible") }),
    );
  });
});

describe("redis", () => {
  it("keeps its data over a kill and a restart", async () => {
    const redis = keep(await startRedis({ appendOnly: true }));
    const client = redis.client();
    await client.set("certificate", "issued");
    const { pid } = redis;
    await redis.kill9();
    expect(isAlive(pid)).toBe(false);
    await redis.restart();
    expect(redis.pid).not.toBe(pid);
    expect(await client.get("certificate")).toBe("issued");
    expect(await client.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "noeviction"]);
  });

  it("is gone after stop, with its folder", async () => {
    const redis = await startRedis();
    const { pid, dir } = redis;
    await redis.stop();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(dir)).toBe(false);
  });

  it("says why it does not start", async () => {
    await expect(startRedis({ args: ["--no-such-setting", "1"] })).rejects.toThrow(/no-such-setting/);
  });
});

describe("pebble", () => {
  it("serves its directory over HTTPS, and counts what it serves", async () => {
    const pebble = keep(await startPebble({ httpPort: await freePort() }));
    expect(pebble.requests()).toEqual({});
    const ca = readFileSync(pebble.rootPath, "utf8");
    const directory = JSON.parse(await httpText(pebble.directoryUrl, { ca })) as Record<string, string>;
    await httpRequest(directory.newNonce ?? "", { ca, method: "HEAD" });
    await httpRequest(directory.newNonce ?? "", { ca, method: "HEAD" });
    await waitUntil(() => pebble.requests().newNonce === 2);
    expect(pebble.requests()).toEqual({ directory: 1, newNonce: 2 });
    await expect(httpText(pebble.directoryUrl)).rejects.toThrow(/certificate/);
  });

  it("hands out the root and the intermediate that it issues from", async () => {
    const pebble = keep(await startPebble({ httpPort: await freePort() }));
    const root = await pebble.issuedRootPem();
    expect(root).toContain("BEGIN CERTIFICATE");
    expect(await pebble.intermediatePem()).toContain("BEGIN CERTIFICATE");
    expect(root).not.toBe(readFileSync(pebble.rootPath, "utf8"));
  });

  it("asks for an external account binding when there are keys for one", async () => {
    const eab = { "key-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W" };
    const pebble = keep(await startPebble({ httpPort: await freePort(), eab }));
    const ca = readFileSync(pebble.rootPath, "utf8");
    expect(await httpText(pebble.directoryUrl, { ca })).toMatch(/"externalAccountRequired": true/);
  });

  it("is gone after stop", async () => {
    const pebble = await startPebble({ httpPort: await freePort() });
    const { pid, dns, rootPath } = pebble;
    await pebble.stop();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(rootPath)).toBe(false);
    await expect(httpRequest(dns.managementUrl)).rejects.toThrow(/ECONNREFUSED/);
  });

  it("has a name server that can be told what to answer", async () => {
    const { dns } = keep(await startPebble({ httpPort: await freePort() }));
    const resolver = new Resolver({ tries: 1, timeout: 2_000 });
    resolver.setServers([dns.address]);
    expect(await resolver.resolve4("any.example.com")).toEqual(["127.0.0.1"]);
    await expect(resolver.resolve6("any.example.com")).rejects.toThrow();
    await dns.addA("one.example.com", ["192.0.2.7"]);
    expect(await resolver.resolve4("one.example.com")).toEqual(["192.0.2.7"]);
    await dns.addCaa("one.example.com", [{ tag: "issue", value: "ca.example" }]);
    expect(await resolver.resolveCaa("one.example.com")).toEqual([{ critical: 0, issue: "ca.example" }]);
    await dns.setTxt("_acme-challenge.one.example.com", "proof");
    expect(await resolver.resolveTxt("_acme-challenge.one.example.com")).toEqual([["proof"]]);
    await dns.setServfail("one.example.com");
    await expect(resolver.resolve4("one.example.com")).rejects.toThrow(/ESERVFAIL/);
    await dns.clearServfail("one.example.com");
    expect(await resolver.resolve4("one.example.com")).toEqual(["192.0.2.7"]);
  });
});

describe("gate", () => {
  it("passes requests on, with its own host in the URLs", async () => {
    const pebble = keep(await startPebble({ httpPort: await freePort() }));
    const gate = keep(await startGate({ upstream: pebble.directoryUrl, rootPath: pebble.rootPath }));
    const ca = readFileSync(gate.rootPath, "utf8");
    const { host } = new URL(gate.directoryUrl);
    const directory = JSON.parse(await httpText(gate.directoryUrl, { ca })) as Record<string, string>;
    expect(new URL(directory.newOrder ?? "").host).toBe(host);
    const nonce = await httpRequest(directory.newNonce ?? "", { ca, method: "HEAD" });
    expect(nonce.headers["replay-nonce"]).toMatch(/\w/);
    expect(nonce.headers.link).toContain(host);
    const refused = await httpRequest(directory.newOrder ?? "", { ca, json: {} });
    expect(refused.headers["content-type"]).toContain("application/problem+json");
    expect(gate.requests()).toEqual({ directory: 1, newNonce: 1, newOrder: 1 });
    expect(gate.stalls()).toBe(0);
  });

  it("fails a request that gets no answer", async () => {
    const pebble = keep(await startPebble({ httpPort: await freePort() }));
    const options = { upstream: pebble.directoryUrl, rootPath: pebble.rootPath, watchdogMs: 200 };
    const gate = keep(await startGate(options));
    process.kill(pebble.pid, "SIGSTOP");
    const ca = readFileSync(gate.rootPath, "utf8");
    const answer = await httpRequest(gate.directoryUrl, { ca });
    process.kill(pebble.pid, "SIGCONT");
    expect(answer.status).toBe(504);
    expect(gate.stalls()).toBe(1);
  });

  it("never opens two lanes at once, and keeps none waiting for ever", async () => {
    const turns = new Turns();
    const leaves = [await turns.enter("a"), await turns.enter("a")];
    const order: string[] = [];
    const b = turns.enter("b").then((leave) => [order.push("b"), leave] as const);
    const lateA = turns.enter("a").then((leave) => [order.push("a"), leave] as const);
    leaves[0]?.();
    await Promise.resolve();
    expect(order).toEqual([]);
    leaves[1]?.();
    (await b)[1]();
    (await lateA)[1]();
    expect(order).toEqual(["b", "a"]);
  });
});

describe("smtp", () => {
  const mail = { from: "certherd@example.com", to: "ops@example.com", subject: "Batch done", text: "3 of 3" };

  it("catches a mail", async () => {
    const smtp = keep(await startSmtp());
    await createTransport({ host: "127.0.0.1", port: smtp.port }).sendMail({
      ...mail,
      html: "<p>3 of 3</p>",
    });
    const [received] = await smtp.waitFor(1, 2_000);
    expect(received).toMatchObject({ from: mail.from, to: [mail.to], subject: mail.subject, secure: false });
    expect(received?.text.trim()).toBe("3 of 3");
    expect(received?.html).toContain("<p>3 of 3</p>");
  });

  it("offers STARTTLS with a certificate that its root signs", async () => {
    const smtp = keep(await startSmtp({ startTls: true }));
    const tls = { ca: readFileSync(smtp.rootPath ?? "", "utf8") };
    await createTransport({ host: "localhost", port: smtp.port, requireTLS: true, tls }).sendMail(mail);
    expect((await smtp.waitFor(1, 2_000))[0]?.secure).toBe(true);
  });

  it("can be down, and come back on the same port", async () => {
    const smtp = keep(await startSmtp({ down: true }));
    const transport = createTransport({ host: "127.0.0.1", port: smtp.port });
    await expect(transport.sendMail(mail)).rejects.toThrow(/ECONNREFUSED/);
    await smtp.setDown(false);
    await transport.sendMail(mail);
    expect(await smtp.waitFor(1, 2_000)).toHaveLength(1);
  });
});
