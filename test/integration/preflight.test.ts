/**
 * The checks before an order, against a real name server and real listeners. All of it stays on loopback: 127.0.0.1
 * and ::1 are the VIPs, and the rest of 127/8 are private addresses, which nobody may connect to.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createTcpServer, type Server } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AppError } from "../../src/core/errors.ts";
import { type CheckRequest, checkEach, checkNames } from "../../src/preflight/check.ts";
import { createPreflight, type Preflight, type PreflightOptions } from "../../src/preflight/preflight.ts";
import { ChallengeListener } from "../../src/respond/listener.ts";
import { ProbeHistory } from "../../src/store/probe-history.ts";
import { makeServerCert } from "../support/certs.ts";
import { type FakeDns, startFakeDns } from "../support/challtestsrv.ts";
import { httpText } from "../support/http.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { freePort, tempDir } from "../support/temp.ts";

const VIP = "127.0.0.1";
const NAME = "www.shop.test";
const PATH = "/.well-known/acme-challenge/";
const NOW = 1_700_000_000_000;

let dns: FakeDns;
let stopDns: () => Promise<void>;
let httpPort: number;
let httpsPort: number;
let tls: { cert: Buffer; key: Buffer };

const bodies = new Map<string, string>();
let passed = 0;
let now = NOW;
let preflight: Preflight;
const stops: (() => unknown)[] = [];

beforeAll(async () => {
  const dir = tempDir("certherd-preflight");
  const started = await startFakeDns(dir);
  dns = started.dns;
  stopDns = () => started.server.stop();
  const made = await makeServerCert(dir);
  tls = { cert: readFileSync(made.certPath), key: readFileSync(made.keyPath) };
}, 300_000);

afterAll(() => stopDns());

beforeEach(async () => {
  bodies.clear();
  passed = 0;
  now = NOW;
  httpPort = await freePort();
  httpsPort = await freePort();
  preflight = build();
});

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  await dns.setDefaultA(VIP);
  for (const host of ["shop.test", NAME, "other.test"]) {
    await Promise.all([dns.clearA(host), dns.clearAaaa(host), dns.clearCaa(host), dns.clearServfail(host)]);
  }
});

function build(options: Partial<PreflightOptions> = {}): Preflight {
  const built = createPreflight({
    resolvers: [dns.address],
    vips: [VIP],
    httpPort,
    httpsPort,
    timeouts: { dns: 500, probe: 1_000 },
    tries: 1,
    store: {
      put: async (token, body) => void bodies.set(token, body),
      drop: async (token) => void bodies.delete(token),
    },
    history: {
      passed: async () => void passed++,
      anyPassed: async () => passed > 0,
    },
    clock: { now: () => now },
    ...options,
  });
  stops.push(() => built.close());
  return built;
}

function request(changes: Partial<CheckRequest> = {}): CheckRequest {
  return { names: [NAME], acmePort: 8080, method: "http-01", identities: ["letsencrypt.org"], ...changes };
}

const check = (changes?: Partial<CheckRequest>) => checkNames(preflight, request(changes));

/** The project's own responder, where the load balancer would lead to. */
async function respond(host = VIP, port = httpPort): Promise<void> {
  const listener = await ChallengeListener.listen(host, port, async (token) => bodies.get(token));
  stops.push(() => listener.close());
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  await once(server, "listening");
  stops.push(() => new Promise((resolve) => server.close(resolve)));
}

const serve = (handler: RequestListener, host = VIP, port = httpPort) =>
  listen(createServer(handler), host, port);
const serveTls = (handler: RequestListener) => listen(createTlsServer(tls, handler), VIP, httpsPort);

/** Whatever connects there is counted. */
async function trap(host: string): Promise<{ heard: () => number }> {
  let connections = 0;
  const server = createTcpServer((socket) => {
    connections++;
    socket.destroy();
  });
  await listen(server, host, httpPort);
  return { heard: () => connections };
}

const tokenOf = (url = "") => url.slice(PATH.length);
const answerRight: RequestListener = (asked, response) => response.end(bodies.get(tokenOf(asked.url)));
const redirectTo =
  (location: (path: string) => string, status = 301): RequestListener =>
  (asked, response) =>
    response.writeHead(status, { Location: location(asked.url ?? "") }).end();

describe("a probe", () => {
  it("that our own responder answers makes the name ready, and leaves no token behind", async () => {
    await respond();
    expect(await check()).toEqual({ kind: "ready" });
    expect(passed).toBe(1);
    expect(bodies.size).toBe(0);
  });

  it("asks for a token as a CA does: GET, the name as the host, by the path of RFC 8555", async () => {
    const seen: unknown[] = [];
    await serve((asked, response) => {
      seen.push([
        asked.method,
        asked.headers.host,
        asked.url?.replace(/[^/]+$/, (token) => `${token.length}`),
      ]);
      answerRight(asked, response);
    });
    expect(await check()).toEqual({ kind: "ready" });
    expect(seen).toEqual([["GET", `${NAME}:${httpPort}`, `${PATH}43`]]);
  });

  it("takes white space after the answer, as CAs do, and not more than they do", async () => {
    let padding = "\r\n \n";
    await serve((asked, response) => response.end(`${bodies.get(tokenOf(asked.url))}${padding}`));
    expect(await check()).toEqual({ kind: "ready" });
    padding = " ".repeat(60);
    expect(await check()).toMatchObject({ kind: "node", detail: expect.stringContaining("white space") });
  });

  it("that a VIP answers otherwise is told to whoever runs the load balancer", async () => {
    await serve((_, response) => response.writeHead(404).end());
    const rule = `Port ${httpPort} of VIP 127.0.0.1 does not lead ${PATH} to this host's ACMEPort 8080: it`;
    expect(await check()).toMatchObject({
      kind: "node",
      code: "vip_wrong_backend",
      detail: expect.stringContaining(`${rule} answers with status 404.`),
    });
    expect(passed).toBe(0);
  });

  it("that no VIP takes is, too", async () => {
    expect(await check()).toMatchObject({
      kind: "node",
      code: "vip_unreachable",
      detail: expect.stringContaining(`refuses the connection on port ${httpPort}`),
    });
  });

  it.each([
    ["never answers", "does not answer on port"],
    ["never stops", "answers with something else"],
    ["breaks off", "breaks off on port"],
    ["speaks no HTTP", "breaks off on port"],
  ])("of a host that %s ends in time", async (what, why) => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      if (what === "breaks off") return socket.once("data", () => socket.destroy());
      if (what === "speaks no HTTP") return socket.resume().end("220 mail.example.com ESMTP\r\n");
      if (what === "never answers") return socket.resume();
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      const more = () => socket.writable && socket.write("x".repeat(16_384), () => setImmediate(more));
      return more();
    });
    await listen(server, VIP, httpPort);
    const startedAt = Date.now();
    expect(await check()).toMatchObject({ code: "vip_wrong_backend", detail: expect.stringContaining(why) });
    expect(Date.now() - startedAt).toBeLessThan(3_000);
  });
});

describe("addresses", () => {
  it("that are private are never connected to, and the customer is told the VIP", async () => {
    const { heard } = await trap("127.0.0.2");
    await dns.addA(NAME, ["127.0.0.2"]);
    expect(await check()).toEqual({
      kind: "customer",
      detail: `${NAME} A 127.0.0.1 is to be set; today it is 127.0.0.2.`,
      records: [
        { name: NAME, type: "A", set: VIP, today: "127.0.0.2", why: "127.0.0.2 is not a public address" },
      ],
    });
    expect(heard()).toBe(0);
    expect(bodies.size).toBe(0);
  });

  it("that are not there are to be set", async () => {
    await dns.setDefaultA("");
    expect(await check()).toMatchObject({
      kind: "customer",
      detail: `${NAME} A 127.0.0.1 is to be set; today there is none.`,
    });
  });

  it("that were mended are seen at the next check", async () => {
    await respond();
    await dns.addA(NAME, ["127.0.0.2"]);
    expect(await check()).toMatchObject({ kind: "customer" });
    await dns.clearA(NAME);
    expect(await check()).toEqual({ kind: "ready" });
  });

  it("of IPv6 that nobody answers at are passed over while IPv4 leads back, as CAs do", async () => {
    preflight = build({ vips: [VIP, "::1"] });
    await respond();
    await dns.addAaaa(NAME, ["::1"]);
    expect(await check()).toEqual({ kind: "ready" });
  });

  it("of IPv6 are to be right where somebody answers", async () => {
    preflight = build({ vips: [VIP, "::1"] });
    await respond();
    await serve((_, response) => response.writeHead(404).end(), "::1");
    await dns.addAaaa(NAME, ["::1"]);
    expect(await check()).toMatchObject({ kind: "node", code: "vip_wrong_backend" });
  });

  it("of IPv6 that are no VIP are to be removed", async () => {
    await respond();
    await dns.addAaaa(NAME, ["fd00::1"]);
    expect(await check()).toMatchObject({
      kind: "customer",
      detail: `${NAME} AAAA is to be removed; today it is fd00::1.`,
    });
  });

  it("are asked of a certificate as a whole, and each name has its own verdict", async () => {
    await respond();
    await dns.addA("other.test", ["127.0.0.2"]);
    const names = [NAME, "other.test"];
    expect(await checkEach(preflight, request({ names }))).toMatchObject([
      { name: NAME, verdict: { kind: "ready" } },
      { name: "other.test", verdict: { kind: "customer" } },
    ]);
    expect(await check({ names })).toMatchObject({ kind: "customer", records: [{ name: "other.test" }] });
  });

  it("do not matter to a wildcard and to dns-01", async () => {
    await dns.setDefaultA("");
    expect(await check({ names: ["*.shop.test"], method: "dns-01" })).toEqual({ kind: "ready" });
    expect(await check({ method: "dns-01" })).toEqual({ kind: "ready" });
  });
});

describe("redirects", () => {
  it("are followed, to another name and to https with a certificate of anybody's", async () => {
    const hosts: unknown[] = [];
    await serve(redirectTo((path) => `https://other.test:${httpsPort}${path}?a=1#b`, 308));
    await serveTls((asked, response) => {
      hosts.push([asked.headers.host, asked.url?.slice(-4)]);
      response.end(bodies.get(tokenOf(asked.url).replace("?a=1", "")));
    });
    expect(await check()).toEqual({ kind: "ready" });
    expect(hosts).toEqual([[`other.test:${httpsPort}`, "?a=1"]]);
  });

  it("are followed ten times, and not eleven", async () => {
    let most = 10;
    await serve((asked, response) => {
      const url = new URL(asked.url ?? "", "http://x");
      const step = Number(url.searchParams.get("step"));
      if (step >= most) return response.end(bodies.get(tokenOf(url.pathname)));
      return redirectTo(() => `${url.pathname}?step=${step + 1}`, 302)(asked, response);
    });
    expect(await check()).toEqual({ kind: "ready" });
    most = 11;
    expect(await check()).toMatchObject({ detail: expect.stringContaining("redirects more than 10 times") });
  });

  it.each([
    ["to a private address", () => "http://other.test/", "which has no public address"],
    ["to an IP address", () => "http://127.0.0.2/", "which has an IP address for a name"],
    ["to an IPv6 address", () => "http://[::1]/", "which has an IP address for a name"],
    ["to an IP address in disguise", () => "http://0x7f000002/", "which has an IP address for a name"],
    ["to another port", () => "http://other.test:22/", "whose port is neither 80 nor 443"],
    ["to another scheme", () => "ftp://other.test/", "which is neither http nor https"],
    ["to the same URL", (path: string) => path, "in a circle"],
    ["without the / before the path", () => "http://other.test.well-known/x", "where a / is missing"],
    ["to no URL", () => "http://", "to something that is no URL"],
  ])("%s are not followed", async (_, location, why) => {
    const { heard } = await trap("127.0.0.2");
    await dns.addA("other.test", ["127.0.0.2"]);
    await serve(redirectTo(location));
    expect(await check()).toMatchObject({ code: "vip_wrong_backend", detail: expect.stringContaining(why) });
    expect(heard()).toBe(0);
  });

  it("of a kind that no CA follows are none", async () => {
    await serve(redirectTo((path) => `http://other.test${path}`, 303));
    expect(await check()).toMatchObject({
      detail: expect.stringContaining("status 303, which no CA follows"),
    });
  });

  it("to a name that has an IPv6 address have no second try with IPv4, as with CAs", async () => {
    preflight = build({ vips: [VIP, "::1"] });
    await serve((asked, response) => {
      if (asked.headers.host?.startsWith("other.test")) return answerRight(asked, response);
      return redirectTo((path) => `http://other.test:${httpPort}${path}`)(asked, response);
    });
    expect(await check()).toEqual({ kind: "ready" });
    now += 60_000;
    await dns.addAaaa("other.test", ["::1"]);
    expect(await check()).toMatchObject({
      detail: expect.stringContaining(
        `redirects to http://other.test:${httpPort}, which refuses the connection`,
      ),
    });
  });

  it("to a name that the resolver does not answer for are the resolver's failure", async () => {
    await serve(redirectTo(() => "http://other.test/"));
    await dns.setServfail("other.test");
    expect(await check()).toMatchObject({ kind: "node", code: "resolver_failed" });
  });
});

describe("the resolver", () => {
  it("that fails says nothing about the name", async () => {
    await dns.setServfail(NAME);
    expect(await check()).toMatchObject({
      kind: "node",
      code: "resolver_failed",
      detail: expect.stringContaining(
        `The resolver ${dns.address} did not answer for ${NAME} A (SERVFAIL). That says nothing about the name; it is asked again.`,
      ),
    });
  });

  it("that is not there does neither", async () => {
    preflight = build({ resolvers: [`127.0.0.1:${await freePort()}`] });
    expect(await check()).toMatchObject({ kind: "node", code: "resolver_failed" });
  });

  it("is an address, or the configuration is wrong", () => {
    expect(() => build({ resolvers: ["dns.example.com:53"] })).toThrow(AppError);
    expect(() => build({ resolvers: ["[::1]:53", "::1", "192.0.2.53:53", "192.0.2.53"] })).not.toThrow();
  });
});

describe("CAA", () => {
  beforeEach(() => respond());

  it("of a parent that names another CA waits for the customer", async () => {
    await dns.addCaa("shop.test", [{ tag: "issue", value: "other.example" }]);
    expect(await check()).toMatchObject({
      kind: "customer",
      detail: 'shop.test CAA 0 issue "letsencrypt.org" is to be added; today it is 0 issue "other.example".',
      records: [{ name: "shop.test", type: "CAA", set: '0 issue "letsencrypt.org"' }],
    });
  });

  it("that names this one lets it issue, the name's own before its parent's", async () => {
    await dns.addCaa("shop.test", [{ tag: "issue", value: ";" }]);
    await dns.addCaa(NAME, [{ tag: "issue", value: "letsencrypt.org; validationmethods=http-01" }]);
    expect(await check()).toEqual({ kind: "ready" });
    expect(await check({ names: [NAME], method: "dns-01" })).toMatchObject({ kind: "customer" });
  });

  it("is judged by issuewild for a wildcard", async () => {
    await dns.addCaa("shop.test", [
      { tag: "issue", value: "letsencrypt.org" },
      { tag: "issuewild", value: ";" },
    ]);
    expect(await check()).toEqual({ kind: "ready" });
    expect(await check({ names: ["*.shop.test"], method: "dns-01" })).toMatchObject({
      records: [{ set: '0 issuewild "letsencrypt.org"', today: '0 issuewild ";"' }],
    });
  });

  it("that the resolver does not answer for says nothing about the name", async () => {
    await dns.setServfail("shop.test");
    expect(await check()).toMatchObject({
      kind: "node",
      detail: expect.stringContaining("shop.test CAA (SERVFAIL)"),
    });
  });

  it("of a parent is asked once for hundreds of names, until the answer is old", async () => {
    const names = Array.from({ length: 100 }, (_, index) => `n${index}.many.test`);
    await Promise.all([0, 1, 2].map((part) => check({ names: names.slice(part * 30, part * 30 + 30) })));
    expect(await caaQuestions("many.test")).toBe(1);
    now += 60_000;
    await check({ names: names.slice(90) });
    expect(await caaQuestions("many.test")).toBe(1);
    now += 120_000;
    await check({ names: names.slice(90) });
    expect(await caaQuestions("many.test")).toBe(2);
  });

  async function caaQuestions(host: string): Promise<number> {
    const text = await httpText(`${dns.managementUrl}/dns-request-history`, { json: { host } });
    // 257 is CAA: RFC 8659 §4.
    return [...text.matchAll(/"Qtype": 257/g)].length;
  }
});

it("a check that is under way when the process ends is given up, and says so", async () => {
  await listen(
    createTcpServer((socket) => socket.resume()),
    VIP,
    httpPort,
  );
  const checking = check();
  const outcome = expect(checking).rejects.toMatchObject({
    code: "preflight_closed",
    disposition: "transient",
  });
  setTimeout(() => preflight.close(), 100);
  await outcome;
  await expect(check()).rejects.toMatchObject({ code: "preflight_closed" });
});

describe("what is remembered of probes that came back", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  }, 120_000);
  afterAll(() => server.stop());

  it("is known to every process, and for a day", async () => {
    const redis = server.client();
    let written = NOW;
    const history = new ProbeHistory(redis, { now: () => written });
    const other = new ProbeHistory(server.client());
    expect(await other.anyPassed()).toBe(false);
    await history.passed();
    expect(await other.anyPassed()).toBe(true);
    const [key = ""] = await redis.keys("*");
    expect(await redis.ttl(key)).toBeGreaterThan(86_000);
    // Written once a minute at most.
    await redis.del(key);
    await history.passed();
    expect(await other.anyPassed()).toBe(false);
    written += 60_000;
    await history.passed();
    expect(await other.anyPassed()).toBe(true);
  });
});
