/** What the dashboard shows: pages in each order, searches, the overview, one certificate, many acted on at once. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import type { BulkAnswer } from "../../src/api/schemas/bulk.ts";
import type { CertificateDetail } from "../../src/api/schemas/certificates.ts";
import type { Limits } from "../../src/api/schemas/limits.ts";
import type { Overview } from "../../src/api/schemas/overview.ts";
import type { Reason, Status } from "../../src/core/certificate.ts";
import type { Transition } from "../../src/store/certificates.ts";
import { keys } from "../../src/store/keys.ts";
import { json, problem, startTestApi, type TestApi, TOKENS } from "../support/api.ts";
import { makeTestCa } from "../support/chains.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";

const DAY = 86_400_000;
let server: RedisServer;
let api: TestApi;

beforeAll(async () => {
  await ensureTools(["redis"]);
  server = await startRedis();
  const yaml = [
    "terminations:",
    "  443:",
    "    nodes:",
    "      - { name: lb1, address: 127.0.0.1, port: 1, target: { command: { run: [/bin/true] } } }",
  ].join("\n");
  api = await startTestApi(server.url, { yaml });
});

afterAll(async () => {
  await api.stop();
  await server.stop();
});

beforeEach(async () => {
  await api.house.redis.flushall();
});

async function accept(names: readonly (string | string[])[]): Promise<void> {
  await api.house.certificates.accept(
    names.map((name) => makeSpec(name)),
    { now: Date.now() },
  );
}

async function move(name: string, change: Transition): Promise<void> {
  const { certificates } = api.house;
  const record = await certificates.get(name);
  await certificates.transition(name, record?.generation ?? 0, change, Date.now());
}

const leaf = (number: number, notAfter: number, renewAt = notAfter - 30 * DAY) => ({
  notBefore: notAfter - 90 * DAY,
  notAfter,
  issuer: "E7",
  serial: `AB${String(number).padStart(4, "0")}`,
  renewAt,
  generation: 1,
});

interface List {
  certificates: { name: string; status: Status }[];
  next?: string;
}

async function pages(
  query: string,
  between: (page: number, last: string | undefined) => Promise<void> = async () => {},
): Promise<string[]> {
  const all: string[] = [];
  let next: string | undefined;
  let page = 0;
  do {
    const answer = await json<List>(
      await api.ask(`/v1/certificates?${query}${next === undefined ? "" : `&cursor=${next}`}`),
    );
    all.push(...answer.certificates.map(({ name }) => name));
    next = answer.next;
    await between(++page, all.at(-1));
  } while (next !== undefined);
  return all;
}

describe("pages in every order", () => {
  const end = Date.now() + 60 * DAY;
  const names = Array.from({ length: 60 }, (_, n) => `n${String(n).padStart(2, "0")}.example`);

  beforeEach(async () => {
    await accept(names);
    // Six end together each time, in the order of their names; renewed the other way round.
    for (const [n, name] of names.entries()) {
      const notAfter = end + Math.floor(n / 6) * DAY;
      await move(name, { status: "issued", leaf: leaf(n, notAfter, end - n * 1_000) });
    }
  });

  it.each([
    ["name", "asc", names],
    ["name", "desc", [...names].reverse()],
    ["expires", "asc", names],
    ["expires", "desc", [...names].reverse()],
    ["renews", "asc", [...names].reverse()],
    ["renews", "desc", names],
  ] as const)("sort=%s&order=%s goes on right while others come and go", async (sort, order, expected) => {
    const gone = new Set<string>();
    const all = await pages(`sort=${sort}&order=${order}&limit=7`, async (page, last) => {
      // The one that the next page goes on after, and others on both sides of it.
      if (last?.startsWith("n") && gone.size < 3) {
        await move(last, { status: "removed" });
        await api.house.certificates.forget(last, 1);
        gone.add(last);
      }
      await accept([`a${page}.example`, `z${page}.example`]);
      for (const name of [`a${page}.example`, `z${page}.example`])
        await move(name, { status: "issued", leaf: leaf(900 + page, end + 2 * DAY, end - 30_500) });
    });
    expect(all.filter((name) => name.startsWith("n"))).toEqual(expected);
    expect(new Set(all).size).toBe(all.length);
    expect(gone.size).toBe(3);
  });

  it("filters while it sorts, and refuses the cursor of another order", async () => {
    for (const name of names.slice(10, 20)) await move(name, { status: "attention", reason: "person" });
    expect(await pages("sort=expires&status=attention&limit=3&order=desc")).toEqual(
      names.slice(10, 20).reverse(),
    );
    const { next } = await json<List>(await api.ask("/v1/certificates?sort=expires&limit=3"));
    await problem(await api.ask(`/v1/certificates?sort=renews&cursor=${next}`), 422, "invalid_request");
  });

  it("sorts by the renewal that is planned, not by the next look at it", async () => {
    const note = { id: "n30.example", serial: "AB0030", schedule: {}, lookAt: Date.now() };
    await api.house.renewals.note([{ ...note, renewAt: end + 90 * DAY }], Date.now());
    expect((await pages("sort=renews&order=desc&limit=1")).at(0)).toBe("n30.example");
  });
});

describe("reasons", () => {
  it("follow what happens", async () => {
    await accept(["a.example", "b.example", "c.example"]);
    const wait = (name: string, reason: Reason) => move(name, { status: "waiting", reason });
    for (const name of ["a.example", "b.example", "c.example"]) await wait(name, "customer");
    await wait("b.example", "limit");
    const waiting = (reason: Reason) => pages(`status=waiting&reason=${reason}`);
    expect(await waiting("customer")).toEqual(["a.example", "c.example"]);
    expect(await waiting("limit")).toEqual(["b.example"]);
    await move("a.example", { status: "checking" });
    await accept(["c.example"]);
    expect(await waiting("customer")).toEqual([]);
    for (const reason of ["customer", "retry", "limit"] as const)
      expect(await api.house.redis.zcard(keys.waiting(reason))).toBe(reason === "limit" ? 1 : 0);
  });
});

describe("a search", () => {
  it("finds other names too, as they are written, and forgets them with the certificate", async () => {
    await accept([
      ["a.example", "shop.example.org", "xn--bcher-kva.example.org"],
      "b.shop.example",
      "*.wild.example",
    ]);
    expect(await pages("q=shop")).toEqual(["a.example", "b.shop.example"]);
    expect(await pages("q=shop&order=desc&sort=name")).toEqual(["b.shop.example", "a.example"]);
    expect(await pages(`q=${encodeURIComponent("BÜCH")}`)).toEqual(["a.example"]);
    expect(await pages(`q=${encodeURIComponent("*.wi")}`)).toEqual(["*.wild.example"]);
    await accept([["a.example", "other.example.org"]]);
    expect(await pages("q=shop")).toEqual(["b.shop.example"]);
    expect(await pages("q=other&status=queued")).toEqual(["a.example"]);
    await move("a.example", { status: "removed" });
    await api.house.certificates.forget("a.example", 2);
    expect(await api.house.redis.hkeys(keys.otherNames)).toEqual([]);
  });

  it("gives first those that begin with it, and none twice", async () => {
    await accept(["a.shop.example", "b.shop.example", "shop.example", "shop2.example", "zshop.example"]);
    for (const limit of [1, 2, 3, 10])
      expect(await pages(`q=shop&limit=${limit}`)).toEqual([
        "shop.example",
        "shop2.example",
        "a.shop.example",
        "b.shop.example",
        "zshop.example",
      ]);
  });
});

describe("the certificates of one import", () => {
  it("are listed by themselves, with every filter, in each order, page by page", async () => {
    const first = (await upload("b.example\nshop.c.example\na.example\n")).import;
    const second = (await upload("shop.z.example\na.example\n")).import;
    await accept(["alone.example", "shop.alone.example"]);
    await move("b.example", { status: "attention", reason: "person" });
    const end = Date.now() + 60 * DAY;
    await move("shop.c.example", { status: "issued", leaf: leaf(1, end, end) });
    await move("a.example", { status: "issued", leaf: leaf(2, end + DAY, end) });
    await move("shop.alone.example", { status: "issued", leaf: leaf(3, end - DAY, end) });
    for (const limit of [1, 2, 10]) {
      const of = (id: string, query = "") => pages(`import=${id}&limit=${limit}${query}`);
      expect(await of(first)).toEqual(["a.example", "b.example", "shop.c.example"]);
      expect(await of(first, "&order=desc")).toEqual(["shop.c.example", "b.example", "a.example"]);
      expect(await of(second)).toEqual(["a.example", "shop.z.example"]);
      expect(await of(first, "&status=attention")).toEqual(["b.example"]);
      expect(await of(first, "&q=shop")).toEqual(["shop.c.example"]);
      expect(await of(first, "&sort=expires")).toEqual(["shop.c.example", "a.example"]);
      expect(await of("nothing-of-that-name")).toEqual([]);
    }
  });

  async function upload(csv: string): Promise<{ import: string }> {
    return await json<{ import: string }>(await api.ask("/v1/imports", { csv }));
  }
});

describe("GET /v1/overview", () => {
  it("counts", async () => {
    const now = Date.now();
    await accept(["a.example", "b.example", "c.example", "d.example"]);
    await move("a.example", { status: "serving", leaf: leaf(1, now + 3 * DAY, now - 1_000) });
    await move("b.example", { status: "issued", leaf: leaf(2, now + 20 * DAY, now + 2 * DAY) });
    await move("c.example", { status: "waiting", reason: "limit" });
    await api.house.nodes.fault({ name: "lb1", vipPort: 443 }, "it is down", now);
    const stop = await api.house.alive.beat(["issue"], "host:1:42");
    const room = "certificatesPerDomain:letsencrypt-staging:example.com";
    await api.house.redis.zadd(`${keys.family("room")}${room}`, 1, "c.example#1", 2, "d.example#1");
    await api.house.redis.zadd(keys.rooms("letsencrypt-staging"), now, room);
    const answer = await api.ask("/v1/overview", { token: TOKENS.read });
    await stop();
    const body = await json<Overview>(answer);
    expect(body).toMatchObject({
      total: 4,
      statuses: { queued: 1, waiting: 1, issued: 1, serving: 1 },
      waiting: { limit: 1 },
      pace: { hour: 2, day: 2 },
      expiry: { ended: 0, within7: 1, within14: 1, within30: 2 },
      renewals: { due: 1, day: 1, week: 2 },
      nodes: [{ node: "lb1", vipPort: 443, fault: "it is down" }],
      processes: [{ role: "issue", node: "host:1", pid: 42 }],
    });
    expect(body.expiry.days).toHaveLength(90);
    expect(body.expiry.days.reduce((sum, { count }) => sum + count, 0)).toBe(2);
    expect(body.budgets.map(({ limit, key, waits }) => [limit, key, waits])).toEqual([
      ["newOrders", "letsencrypt-staging", 0],
      ["certificatesPerDomain", "example.com", 2],
    ]);
    expect(Date.parse(body.finishesAt ?? "")).toBeGreaterThan(now);
    // One answer for all who ask within a second.
    await accept(["e.example"]);
    expect((await json<Overview>(await api.ask("/v1/overview"))).at).toBe(body.at);
  });
});

describe("GET /v1/certificates/{name}", () => {
  it("tells all of it", async () => {
    await api.ask("/v1/certificates", { json: { names: ["www.example.com"] } });
    await api.ask("/v1/certificates/www.example.com/pause", { method: "POST" });
    await api.ask("/v1/certificates/www.example.com/resume", { method: "POST" });
    await move("www.example.com", { status: "ordering", event: { what: "ordering" } });
    const error = { code: "not_served", type: "urn:certherd:error:not_served", detail: "another serial" };
    const now = Date.now();
    await move("www.example.com", {
      status: "attention",
      reason: "node",
      error,
      leaf: leaf(1, now + 90 * DAY),
      event: { what: "not served", detail: "another serial" },
    });
    const ca = await makeTestCa();
    const { generateKey } = await import("../../src/pki/keys.ts");
    const leafPem = ca.leaf(await generateKey("ec256"), ["DNS:www.example.com"], "0x5A");
    ca.stop();
    const { fullchain } = api.house.certificateFiles.paths("www.example.com");
    mkdirSync(dirname(fullchain), { recursive: true });
    writeFileSync(fullchain, `${leafPem}${ca.intermediatePem}`);
    const body = await json<CertificateDetail>(await api.ask("/v1/certificates/www.example.com"));
    expect(body).toMatchObject({
      vipPort: 443,
      acmePort: 8888,
      challenge: "http-01",
      failures: [{ code: "not_served", detail: "another serial" }],
      todo: expect.stringContaining("who listens there"),
      renewal: { why: expect.stringContaining("a third") },
      chain: [{ serial: "5A" }, {}],
      requests: [
        { by: "api:full", action: "resume" },
        { by: "api:full", action: "pause" },
      ],
    });
    expect(body.steps.map(({ status }) => status).slice(-2)).toEqual(["ordering", "attention"]);
    expect(JSON.stringify(body)).not.toContain("PRIVATE");
  });

  it("says by when it should be done", async () => {
    await accept(["q.example"]);
    const ask = async () => await json<CertificateDetail>(await api.ask("/v1/certificates/q.example"));
    // The plan of a moment ago does not know it.
    await vi.waitUntil(async () => (await ask()).doneBy !== undefined, { timeout: 20_000, interval: 100 });
    const body = await ask();
    expect(Date.parse(body.doneBy ?? "")).toBeGreaterThan(Date.now() - 10_000);
    expect(body).toMatchObject({ chain: [], failures: [], requests: [] });
  });
});

describe("POST /v1/certificates/actions", () => {
  const act = (action: string, names: string[], token: string = TOKENS.admin) =>
    api.ask("/v1/certificates/actions", { json: { action, names }, token });

  it("answers for each name, in their order, whatever becomes of the others", async () => {
    await accept(["a.example", "b.example", "c.example", "xn--bcher-kva.example"]);
    for (const name of ["a.example", "c.example"]) await move(name, { status: "attention" });
    const answer = await act(
      "retry",
      ["c.example", "nobody.example", "b.example", "a.example", "..", "C.example."],
      TOKENS.enqueue,
    );
    expect(answer.status).toBe(200);
    const body = await json<BulkAnswer>(answer);
    expect(body.done).toBe(3);
    expect(body.results.map(({ name, ok, code }) => [name, ok, code])).toEqual([
      ["c.example", true, undefined],
      ["nobody.example", false, "not_found"],
      ["b.example", false, "not_failed"],
      ["a.example", true, undefined],
      ["..", false, "not_found"],
      ["C.example.", true, undefined],
    ]);
    expect((await api.house.certificates.get("a.example"))?.status).toBe("queued");
    const { entries } = await json<{ entries: { certificate: string; action: string; by: string }[] }>(
      await api.ask("/v1/audit"),
    );
    expect(entries.map(({ certificate }) => certificate).sort()).toEqual([
      "a.example",
      "b.example",
      "c.example",
    ]);
    expect(entries[0]).toMatchObject({ action: "retry", by: "api:enqueue" });
  });

  it("renews several as one import", async () => {
    const names = ["a.example", "b.example", "c.example"];
    await accept(names);
    for (const [n, name] of names.slice(0, 2).entries())
      await move(name, { status: "issued", leaf: leaf(n, Date.now() + DAY) });
    const { results } = await json<BulkAnswer>(await act("renew", names));
    expect(results.map(({ code }) => code)).toEqual([undefined, undefined, "on_its_way"]);
    expect(await api.house.redis.zcard(keys.imports)).toBe(1);
    expect((await api.house.certificates.get("a.example"))?.generation).toBe(2);
  });

  it("pauses, resumes and removes without waiting for nodes", async () => {
    const names = Array.from({ length: 20 }, (_, n) => `n${n}.example`);
    await accept(names);
    expect(await json<BulkAnswer>(await act("pause", names))).toMatchObject({ done: 20 });
    expect(await json<BulkAnswer>(await act("resume", names.slice(0, 10)))).toMatchObject({ done: 10 });
    const again = await json<BulkAnswer>(await act("resume", names.slice(0, 1)));
    expect(again.results[0]?.code).toBe("not_paused");
    const state = { ok: true, serial: "AB", at: Date.now(), vipPort: 443 };
    for (const name of names)
      await api.house.redis.hset(keys.certificate(name), "nodes", JSON.stringify({ lb1: state }));
    const { done, results } = await json<BulkAnswer>(await act("remove", names));
    expect(done).toBe(20);
    expect(results[0]?.detail).toBe("Still to let go of it: lb1.");
    expect(await api.house.certificates.count("removed")).toBe(20);
    const retried = await json<BulkAnswer>(await act("retry", names.slice(0, 1)));
    expect(retried.results[0]?.code).toBe("not_found");
  });

  it("goes by the scope of the action", async () => {
    await accept(["a.example"]);
    for (const action of ["pause", "resume", "remove"])
      await problem(await act(action, ["a.example"], TOKENS.enqueue), 403, "forbidden");
    await problem(await act("retry", ["a.example"], TOKENS.read), 403, "forbidden");
    await problem(await act("retry", []), 422, "invalid_request");
    await problem(await act("revoke", ["a.example"]), 422, "invalid_request");
    expect((await api.house.certificates.get("a.example"))?.status).toBe("queued");
  });
});

describe("GET /v1/limits", () => {
  it("is cut to those that matter, and says when they clear", async () => {
    const now = Date.now();
    const account = "letsencrypt-staging";
    const pipeline = api.house.redis.pipeline();
    for (let n = 0; n < 30; n++)
      pipeline.set(keys.bucket("certificatesPerNameSet", account, `s${n}`), now + 1_000_000);
    const emission = Math.floor((7 * DAY) / 30_000);
    pipeline.set(keys.bucket("certificatesPerNameSet", account, "full"), now + 30_000 * emission);
    const room = keys.room("certificatesPerNameSet", account, "full");
    await pipeline.zadd(room, 1, "a.example#1", 2, "b.example#1", 3, "c.example#1").exec();
    const body = await json<Limits>(await api.ask("/v1/limits?limit=5"));
    const [shown] = body.accounts;
    expect(shown).toMatchObject({ more: 26 });
    expect(shown?.buckets).toHaveLength(5);
    const waited = shown?.buckets.find(({ waits }) => waits === 3);
    expect(waited).toMatchObject({ key: "a.example", every: emission / 1_000 });
    const last = Date.parse(waited?.clearsAt ?? "") - Date.parse(waited?.nextAt ?? "");
    expect(Math.abs(last - 2 * emission)).toBeLessThanOrEqual(1_000);
    await problem(await api.ask("/v1/limits?limit=0"), 422, "invalid_request");
  });
});

describe("an index of an earlier version", () => {
  it("is brought up to this one, once", async () => {
    const { healIndex } = await import("../../src/runtime/index-version.ts");
    await accept([["a.example", "shop.example"], "b.example"]);
    await move("a.example", { status: "issued", leaf: leaf(1, Date.now() + DAY) });
    await move("b.example", { status: "waiting", reason: "customer" });
    const lost = [keys.waiting("customer"), keys.renewTimes, keys.otherNames];
    await api.house.redis.del(...lost);
    await healIndex(api.house);
    expect(await api.house.redis.exists(...lost)).toBe(3);
    expect(await pages("q=shop")).toEqual(["a.example"]);
    await api.house.redis.del(...lost);
    await healIndex(api.house);
    expect(await api.house.redis.exists(...lost)).toBe(0);
  });
});
