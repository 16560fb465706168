/** What nobody gets without a token, what every answer says to browsers, and who is refused for asking too often. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { FastifyInstance } from "fastify";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import { json, problem, startTestApi, type TestApi, TOKENS } from "../support/api.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

let server: RedisServer;
let api: TestApi;
let routes: { method: string; url: string }[];

/** Fastify tells of each app that is made, before it has a route. */
function onApp(message: unknown): void {
  const { fastify } = message as { fastify: FastifyInstance };
  fastify.addHook("onRoute", ({ method, url }) => {
    for (const each of [method].flat()) routes.push({ method: each, url });
  });
}

beforeAll(async () => {
  await ensureTools(["redis"]);
  server = await startRedis();
});

afterAll(async () => {
  await server.stop();
});

async function start(yaml = ""): Promise<void> {
  routes = [];
  subscribe("fastify.initialization", onApp);
  try {
    api = await startTestApi(server.url, { yaml });
  } finally {
    unsubscribe("fastify.initialization", onApp);
  }
  await api.house.redis.flushall();
}

beforeEach(() => start());
afterEach(() => api.stop());

const STRICT =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

describe("without a token", () => {
  it("nothing is answered but what is open, by any route there is", async () => {
    const open = new Set<string>();
    for (const { method, url } of routes) {
      const path = url.replace(/:\w+/g, "x").replace("*", "x");
      const answer = await fetch(api.url + path, { method, redirect: "manual" });
      await answer.arrayBuffer();
      // The pages' scripts and styles, which are everybody's.
      if (url.startsWith("/assets/")) continue;
      if (answer.status !== 401) open.add(`${method} ${url} ${answer.status}`);
    }
    expect(routes.length).toBeGreaterThan(60);
    expect([...open].sort()).toEqual([
      "GET /healthz 200",
      "GET /readyz 200",
      "GET /sign-in 200",
      "GET /sign-in.css 200",
      "HEAD /healthz 200",
      "HEAD /readyz 200",
      "HEAD /sign-in 200",
      "HEAD /sign-in.css 200",
      // Its form came from nobody's page.
      "POST /sign-in 403",
    ]);
  });

  it("browsers are sent to the sign-in from pages, and programs are not", async () => {
    const html = { redirect: "manual", headers: { accept: "text/html,*/*;q=0.8" } } as const;
    const pages = [
      "/",
      "/certificates",
      "/certificates/a.example",
      "/imports",
      "/imports/x",
      "/limits",
      "/audit",
    ];
    for (const path of [...pages, "/queues", "/queues/queue/notify", "/docs", "/docs/"]) {
      const answer = await fetch(api.url + path, html);
      await answer.arrayBuffer();
      expect([answer.status, answer.headers.get("location")]).toEqual([
        303,
        path === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(path)}`,
      ]);
      await problem(await api.ask(path, { token: "" }), 401, "unauthorized");
    }
    await problem(await fetch(`${api.url}/v1/certificates`, html), 401, "unauthorized");
    const wrong = { ...html, headers: { ...html.headers, authorization: "Bearer guess" } };
    await problem(await fetch(`${api.url}/docs`, wrong), 401, "unauthorized");
  });
});

describe("every answer", () => {
  it("lets nothing in from elsewhere, and says nothing to others", async () => {
    for (const path of [
      "/sign-in",
      "/sign-in.css",
      "/healthz",
      "/v1/certificates",
      "/metrics",
      "/nowhere",
      "/v1/certificates/%zz",
      "/docs",
      "/queues",
    ]) {
      const { headers } = await api.ask(path);
      expect(Object.fromEntries(headers)).toMatchObject({
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": expect.stringContaining("camera=()"),
      });
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe/);
      if (path === "/docs")
        expect(policy).toBe(STRICT.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'"));
      else if (path === "/queues") expect(policy).toContain("base-uri 'self'");
      else expect(policy).toBe(STRICT);
    }
    expect((await api.ask("/v1/certificates")).headers.get("cache-control")).toBe("no-store");
  });

  it("of a page of others loads files from here alone, without a script inside", async () => {
    for (const page of ["/docs/", "/queues"]) {
      const html = await (await api.ask(page)).text();
      expect(html).not.toMatch(/(src|href)="?(https?:)?\/\//);
      expect(html).not.toMatch(/<script(?![^>]*(src=|type="application\/json"))/);
      const base = new URL(/<base href="([^"]+)"/.exec(html)?.[1] ?? page, api.url);
      const files = [...html.matchAll(/(?:src|href)="([^"#]+\.(?:js|css|png|ico|svg))"/g)].map(
        ([, file]) => file ?? "",
      );
      expect(files.length).toBeGreaterThan(3);
      for (const file of files) {
        const answer = await api.ask(new URL(file, base).href.slice(api.url.length));
        expect([file, answer.status]).toEqual([file, 200]);
        await answer.arrayBuffer();
      }
    }
    expect(await (await api.ask("/docs/static/swagger-initializer.js")).text()).not.toMatch(
      /https?:\/\/(?!stackoverflow)/,
    );
  });
});

describe("rates", () => {
  it("of wrong tokens are kept for each address, and hurt nobody else", async () => {
    const from = (address: string, token: string) =>
      api.ask("/v1/session", { token, headers: { "x-forwarded-for": address } });
    expect((await from("198.51.100.1", TOKENS.read)).status).toBe(200);
    for (let guess = 0; guess < 20; guess++)
      await problem(await from("198.51.100.1", `guess-${guess}`), 401, "unauthorized");
    const refused = await from("198.51.100.1", "guess");
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    await problem(refused, 429, "too_many_failures");
    // A guess that is right at last is not told from the others.
    await problem(await from("198.51.100.1", TOKENS.admin), 429, "too_many_failures");
    // Who was known there before goes on, and so does everybody elsewhere.
    expect((await from("198.51.100.1", TOKENS.read)).status).toBe(200);
    expect((await from("198.51.100.2", TOKENS.admin)).status).toBe(200);
    const signIn = (token: string, address: string) =>
      fetch(`${api.url}/sign-in`, {
        method: "POST",
        redirect: "manual",
        headers: { "sec-fetch-site": "same-origin", "x-forwarded-for": address },
        body: new URLSearchParams({ token }),
      });
    await problem(await signIn(TOKENS.admin, "198.51.100.1"), 429, "too_many_failures");
    expect((await signIn(TOKENS.admin, "198.51.100.2")).status).toBe(303);
    const told = api.lines.filter((line) => line.includes("20 wrong tokens"));
    expect(told).toEqual([expect.stringContaining("198.51.100.1")]);
    const { entries } = await json<{ entries: { action: string; detail?: string }[] }>(
      await api.ask("/v1/audit"),
    );
    expect(entries.filter(({ action }) => action === "refused")).toHaveLength(1);
  });

  it("count an IPv6 network of one customer as one, and what a stranger says of itself not at all", async () => {
    const from = (address: string) =>
      api.ask("/v1/session", { token: "guess", headers: { "x-forwarded-for": address } });
    for (let guess = 0; guess < 20; guess++) await from(`2001:db8:1:2::${guess.toString(16)}`);
    await problem(await from("2001:db8:1:2:ffff::1"), 429, "too_many_failures");
    await problem(await from("2001:db8:1:3::1"), 401, "unauthorized");
    // The last address is what our proxy saw; the ones before it are anybody's word.
    for (let guess = 0; guess < 20; guess++) await from(`192.0.2.${guess}, 198.51.100.7`);
    await problem(await from("192.0.2.99, 198.51.100.7"), 429, "too_many_failures");
  });

  it("of requests are kept for each token, its sessions included", async () => {
    await api.stop();
    await start("http: { ratePerMinute: 3, trustProxy: [] }");
    for (let times = 0; times < 3; times++) expect((await api.ask("/v1/session")).status).toBe(200);
    const refused = await api.ask("/v1/session");
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    await problem(refused, 429, "too_many_requests");
    await problem(await api.ask("/%761/session"), 429, "too_many_requests");
    expect((await api.ask("/v1/session", { token: TOKENS.read })).status).toBe(200);
    const document = await api.ask("/openapi.json");
    expect(document.status).toBe(200);
    await document.arrayBuffer();
    // Nobody is a proxy here, so that nobody is believed to be elsewhere.
    const guess = (address: number) =>
      api.ask("/openapi.json", { token: "guess", headers: { "x-forwarded-for": `198.51.100.${address}` } });
    for (let address = 0; address < 20; address++) await guess(address);
    await problem(await guess(99), 429, "too_many_failures");
  });
});
