/** Browsers: the sign-in, what a session may do and when it ends, and who may make a browser do something. */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import { queueNames } from "../../src/queue/names.ts";
import { keys } from "../../src/store/keys.ts";
import { Sessions } from "../../src/store/sessions.ts";
import { type AskOptions, json, problem, startTestApi, type TestApi, TOKENS } from "../support/api.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

const SAME = { "sec-fetch-site": "same-origin" };
const BROWSER = { accept: "text/html,application/xhtml+xml" };

let server: RedisServer;
let api: TestApi;

beforeAll(async () => {
  await ensureTools(["redis"]);
  server = await startRedis();
  api = await startTestApi(server.url);
});

afterAll(async () => {
  await api.stop();
  await server.stop();
});

beforeEach(async () => {
  await api.house.redis.flushall();
});

/** Without a token, and without following where it leads. */
function browse(
  path: string,
  headers: Record<string, string> = {},
  init: RequestInit = {},
): Promise<Response> {
  return fetch(api.url + path, { redirect: "manual", ...init, headers: { ...BROWSER, ...headers } });
}

function post(path: string, form: Record<string, string>, headers: Record<string, string> = SAME) {
  return browse(path, headers, { method: "POST", body: new URLSearchParams(form) });
}

function cookieOf(answer: Response): string {
  return answer.headers.getSetCookie()[0]?.split(";")[0] ?? "";
}

async function signIn(token: string = TOKENS.admin): Promise<{ cookie: string }> {
  const answer = await post("/sign-in", { token });
  expect(answer.status).toBe(303);
  return { cookie: cookieOf(answer) };
}

const ask = (path: string, headers: Record<string, string>, options: AskOptions = {}) =>
  api.ask(path, { ...options, token: "", headers: { ...headers, ...options.headers } });

describe("the sign-in", () => {
  it("is a page that asks for a token, with a style of its own, and shows a refusal beside the field", async () => {
    const page = await browse("/sign-in?next=/queues");
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(await page.text()).toContain('name="next" value="/queues"');
    const style = await browse("/sign-in.css");
    expect(style.headers.get("content-type")).toContain("text/css");
    expect(await style.text()).toContain("prefers-color-scheme: dark");
    const refused = await post("/sign-in", { token: "guess", next: "/queues" });
    expect(refused.status).toBe(401);
    expect(refused.headers.getSetCookie()).toEqual([]);
    const html = await refused.text();
    expect(html).toContain('role="alert"');
    expect(html).toContain('name="next" value="/queues"');
    expect(html).not.toContain("guess");
  });

  it("goes on to where it was wanted, with a cookie that no script and no other site has", async () => {
    const answer = await post("/sign-in", { token: TOKENS.read, next: "/queues?a=1" });
    expect([answer.status, answer.headers.get("location")]).toEqual([303, "/queues?a=1"]);
    expect(answer.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^certherd_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/),
    ]);
    const proxied = { ...SAME, "x-forwarded-proto": "https" };
    const secure = await post("/sign-in", { token: TOKENS.read }, proxied);
    expect(secure.headers.getSetCookie()).toEqual([
      expect.stringMatching(
        /^__Host-certherd_session=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
      ),
    ]);
    expect(secure.headers.get("strict-transport-security")).toMatch(/^max-age=\d+$/);
    expect(answer.headers.get("strict-transport-security")).toBeNull();
    const { cookie } = { cookie: cookieOf(secure) };
    expect((await ask("/v1/session", { cookie, "x-forwarded-proto": "https" })).status).toBe(200);
    await problem(await ask("/v1/session", { cookie }), 401, "unauthorized");
  });

  it("leads to no other host", async () => {
    for (const next of ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example"])
      expect((await post("/sign-in", { token: TOKENS.admin, next })).headers.get("location")).toBe("/");
    const page = await (await browse("/sign-in?next=//evil.example")).text();
    expect(page).not.toContain("evil");
    expect((await browse("/sign-in?next=/a&next=/b")).status).toBe(200);
  });

  it("is passed by who has a session, also where another site's link kept the browser from showing it", async () => {
    const { cookie } = await signIn();
    const there = await browse("/sign-in?next=/docs", { cookie });
    expect([there.status, there.headers.get("location")]).toEqual([303, "/docs"]);
    const linked = await (await browse("/sign-in", { "sec-fetch-site": "cross-site" })).text();
    expect(linked).toContain('http-equiv="refresh"');
    expect(await (await browse("/sign-in", SAME)).text()).not.toContain("refresh");
  });

  it("takes a form, of a few bytes, from its own page alone", async () => {
    const form = { token: TOKENS.admin };
    for (const headers of [
      {},
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "none" },
      { origin: "http://evil.example" },
      { origin: "null" },
    ] as Record<string, string>[]) {
      const answer = await post("/sign-in", form, headers);
      expect(answer.headers.getSetCookie()).toEqual([]);
      await problem(answer, 403, "forbidden");
    }
    expect((await post("/sign-in", form, { origin: api.url })).status).toBe(303);
    const proxied = { "x-forwarded-proto": "https", "x-forwarded-host": "certherd.example.com" };
    const behind = { ...proxied, origin: "https://certherd.example.com" };
    expect((await post("/sign-in", form, behind)).status).toBe(303);
    await problem(await post("/sign-in", { token: "x".repeat(10_000) }), 413, "body_too_large");
    await problem(await api.ask("/sign-in", { json: form, headers: SAME }), 415, "media_type");
    await problem(
      await api.ask("/v1/certificates", {
        csv: "token=x",
        headers: { "content-type": "application/x-www-form-urlencoded" },
      }),
      415,
      "media_type",
    );
  });
});

describe("a session", () => {
  it("may do what its token may, and says so", async () => {
    const admin = await signIn();
    expect(await json(await ask("/v1/session", admin))).toEqual({
      name: "full",
      scopes: ["read", "enqueue", "admin"],
      expiresAt: expect.stringMatching(/^\d{4}-.*Z$/),
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      ca: ["letsencrypt-staging"],
    });
    for (const path of ["/metrics", "/openapi.json", "/docs", "/docs/json", "/queues", "/v1/audit"]) {
      const answer = await ask(path, admin);
      expect(answer.status).toBe(200);
      // Unread, a long one keeps its connection open.
      await answer.arrayBuffer();
    }
    const read = await signIn(TOKENS.read);
    expect(await json(await ask("/v1/session", read))).toMatchObject({ name: "read", scopes: ["read"] });
    await problem(await ask("/v1/audit", read), 403, "forbidden");
    const body = { json: { names: ["a.example.com"] }, headers: SAME };
    await problem(await ask("/v1/certificates", read, body), 403, "forbidden");
    expect((await ask("/v1/certificates", admin, body)).status).toBe(202);
    expect(await json(await api.ask("/v1/session"))).toMatchObject({ name: "full", expiresAt: null });
  });

  it("is kept without the token, and without what the cookie holds", async () => {
    const { cookie } = await signIn();
    const [key = ""] = await api.house.redis.keys(keys.session("*"));
    const text = key + (await api.house.redis.get(key));
    expect(text).not.toContain(cookie.split("=")[1]);
    expect(text).not.toContain(TOKENS.admin);
    expect(await api.house.redis.pttl(key)).toBeLessThanOrEqual(3_600_000);
    expect(await api.house.redis.pttl(key)).toBeGreaterThan(3_500_000);
    const audit = readFileSync(join(api.home, "audit.jsonl"), "utf8");
    expect(JSON.parse(audit.trim().split("\n").at(-1) ?? "")).toMatchObject({
      by: "api:full",
      action: "sign in",
    });
    expect(api.lines.join("\n") + audit).not.toMatch(new RegExp(`${TOKENS.admin}|${cookie}`));
  });

  it.each(["form", "script"])("ends by signing out (%s)", async (by) => {
    const { cookie } = await signIn();
    const answer =
      by === "form"
        ? await post("/sign-out", {}, { ...SAME, cookie })
        : await ask("/v1/session", { cookie, ...SAME }, { method: "DELETE" });
    expect(answer.status).toBe(by === "form" ? 303 : 204);
    expect(answer.headers.getSetCookie()[0]).toMatch(
      /^certherd_session=; .*(Max-Age=0|Expires=Thu, 01 Jan 1970)/,
    );
    expect(await api.house.redis.keys(keys.session("*"))).toEqual([]);
    await problem(await ask("/v1/session", { cookie }), 401, "unauthorized");
    // Signing out once more leads to the sign-in too.
    const again = await post("/sign-out", {}, { ...SAME, cookie });
    expect([again.status, again.headers.get("location")]).toEqual([303, "/sign-in"]);
  });

  it("takes the events with it that were listened to", async () => {
    const { cookie } = await signIn();
    const events = await ask("/v1/events", { cookie });
    expect(events.status).toBe(200);
    await post("/sign-out", {}, { ...SAME, cookie });
    await expect(events.text()).rejects.toThrow();
  });

  it("ends with its token, and is good for each process of one Redis", async () => {
    const { cookie } = await signIn();
    const same = await startTestApi(server.url);
    const other = await startTestApi(server.url, { env: { CERTHERD_API_TOKEN: "another-token" } });
    try {
      const there = { token: "", headers: { cookie } };
      expect((await same.ask("/v1/session", there)).status).toBe(200);
      await problem(await other.ask("/v1/session", there), 401, "unauthorized");
    } finally {
      await same.stop();
      await other.stop();
    }
  });

  it("ends unused, and in any case, and is written once a minute at most", async () => {
    const sessions = new Sessions(api.house.redis, { idle: 600_000, most: 1_500_000 });
    const owner = { id: "full", mark: "m" };
    const secret = await sessions.begin(owner, 0);
    const [key = ""] = await api.house.redis.keys(keys.session("*"));
    const before = await api.house.redis.get(key);
    expect(await sessions.use(secret, 59_000)).toMatchObject({ ...owner, expiresAt: 600_000 });
    expect(await api.house.redis.get(key)).toBe(before);
    expect(await sessions.use(secret, 500_000)).toMatchObject({ expiresAt: 1_100_000 });
    expect(await sessions.use(secret, 1_000_000)).toMatchObject({ expiresAt: 1_500_000 });
    expect(await api.house.redis.pttl(key)).toBeLessThanOrEqual(500_000);
    expect(await sessions.use(secret, 1_499_000)).toBeDefined();
    expect(await sessions.use(secret, 1_500_000)).toBeUndefined();
    const unused = await sessions.begin(owner, 0);
    expect(await sessions.use(unused, 600_000)).toBeUndefined();
    expect(await sessions.use("guess", 0)).toBeUndefined();
  });

  it("gives way to a token, be it right or wrong", async () => {
    const { cookie } = await signIn();
    const headers = { cookie };
    expect(await json(await api.ask("/v1/session", { token: TOKENS.read, headers }))).toMatchObject({
      name: "read",
    });
    await problem(await api.ask("/v1/session", { token: "guess", headers }), 401, "unauthorized");
    expect(
      (await api.ask("/v1/session", { token: "", headers: { cookie: "certherd_session=guess" } })).status,
    ).toBe(401);
  });
});

describe("whoever hangs up before Redis has told who they are", () => {
  /** Milliseconds for which Redis tells nobody anything. */
  const SILENCE = 500;

  /** Asks, and has hung up by the time that Redis answers. */
  async function askAndGo(lines: readonly string[]): Promise<void> {
    const { hostname, port, host } = new URL(api.url);
    await server.client().client("PAUSE", SILENCE);
    const socket = connect(Number(port), hostname);
    socket.end([...lines, `host: ${host}`, "", ""].join("\r\n"));
    await sleep(SILENCE / 2);
    socket.destroy();
    await api.house.redis.ping();
  }

  it("takes no place among the triages, nor among those who listen", async () => {
    const { cookie } = await signIn();
    const own = [`cookie: ${cookie}`, `origin: ${api.url}`];
    for (let times = 0; times < 2; times++)
      await askAndGo(["POST /v1/triage HTTP/1.1", ...own, "content-type: text/csv", "content-length: 99"]);
    await askAndGo(["GET /v1/events HTTP/1.1", ...own]);
    await problem(await api.ask("/v1/triage", { csv: "a.example.com\n" }), 503, "no_responder");
    expect(await (await api.ask("/metrics")).text()).toContain("\ncertherd_event_clients 0\n");
  });
});

describe("what changes something", () => {
  const PAUSE = `/queues/api/queues/${queueNames.admit("letsencrypt-staging")}/pause`;
  const basic = { authorization: `Basic ${Buffer.from(`x:${TOKENS.admin}`).toString("base64")}` };
  const sites: [string, Record<string, string>, { cookie: boolean; basic: boolean }][] = [
    ["its own page", SAME, { cookie: true, basic: true }],
    ["its own page, over plain HTTP", { origin: "OWN" }, { cookie: true, basic: true }],
    ["another site", { "sec-fetch-site": "cross-site" }, { cookie: false, basic: false }],
    ["another host of the site", { "sec-fetch-site": "same-site" }, { cookie: false, basic: false }],
    ["the address bar", { "sec-fetch-site": "none" }, { cookie: false, basic: false }],
    ["another origin", { origin: "http://evil.example" }, { cookie: false, basic: false }],
    ["another port", { origin: "http://127.0.0.1:1" }, { cookie: false, basic: false }],
    ["nowhere", { origin: "null" }, { cookie: false, basic: false }],
    [
      "another site that lies",
      { "sec-fetch-site": "cross-site", origin: "OWN" },
      { cookie: false, basic: false },
    ],
    ["a program", {}, { cookie: false, basic: true }],
  ];

  it.each(sites)("by %s", async (_, given, allowed) => {
    const { cookie } = await signIn();
    const headers = Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, value === "OWN" ? api.url : value]),
    );
    const json = { names: ["a.example.com"] };
    const enqueued = await ask("/v1/certificates", { cookie, ...headers }, { json });
    expect(enqueued.status).toBe(allowed.cookie ? 202 : 403);
    const signedOut = await ask("/v1/session", { cookie, ...headers }, { method: "DELETE" });
    expect(signedOut.status).toBe(allowed.cookie ? 204 : 403);
    const paused = await ask(PAUSE, { ...basic, ...headers }, { method: "PUT" });
    expect(paused.status).toBe(allowed.basic ? 200 : 403);
    // Reading is no change, and a bearer token is sent by nobody's page.
    expect((await ask("/queues", { ...basic, ...headers })).status).toBe(200);
    expect((await api.ask("/v1/certificates", { json, headers })).status).toBeLessThan(300);
  });
});
