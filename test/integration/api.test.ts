/** The HTTP API over a real Redis, asked by real HTTP. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import { loadConfig } from "../../src/config/load.ts";
import { certificateId } from "../../src/core/certificate.ts";
import { AppError } from "../../src/core/errors.ts";
import { queueNames } from "../../src/queue/names.ts";
import { startApi } from "../../src/runtime/api.ts";
import { openHouse } from "../../src/runtime/house.ts";
import { keys } from "../../src/store/keys.ts";
import { type AskOptions, startTestApi, type TestApi, TOKENS } from "../support/api.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";

const MAX_IMPORT = 4 * 1024 * 1024;
const HEADER = "DOMAIN,VIPPort,ACMEPort,FROMAddr,TOAddr,RELAYAddr,RELAYPort\n";

let server: RedisServer;
let api: TestApi;

beforeAll(async () => {
  await ensureTools(["redis"]);
  server = await startRedis();
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  api = await startTestApi(server.url, { yaml: `maxImportBytes: ${MAX_IMPORT}` });
  await api.house.redis.flushall();
});

afterEach(async () => {
  await api.stop();
});

const ask = (path: string, options?: AskOptions): Promise<Response> => api.ask(path, options);

interface Document {
  [field: string]: unknown;
}

async function json<T = Document>(answer: Response): Promise<T> {
  return (await answer.json()) as T;
}

interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: { field: string; value: string; reason: string }[];
}

async function problem(answer: Response, status: number, code: string): Promise<ProblemBody> {
  const body = await json<ProblemBody>(answer);
  expect({ status: answer.status, type: body.type }).toEqual({ status, type: `urn:certherd:error:${code}` });
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(body.status).toBe(status);
  expect(body.title).toBeTruthy();
  expect(body.detail).toBeTruthy();
  return body;
}

function domains(count: number, prefix = "host"): string[] {
  return Array.from(
    { length: count },
    (_, index) => `${prefix}-${String(index).padStart(5, "0")}.example.com`,
  );
}

const csvOf = (names: readonly string[]): string => HEADER + names.map((name) => `${name}\n`).join("");

async function waitingJobs(): Promise<number> {
  const counts = await api.house.producer.queue(queueNames.admit("letsencrypt-staging")).getJobCounts();
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true }).map(String).sort();
}

describe("POST /v1/certificates", () => {
  const body = {
    names: ["www.example.com", "Example.com"],
    vipPort: 8443,
    mail: { from: "a@example.com", to: "b@example.com", relay: "127.0.0.1", port: 2525 },
    priority: "urgent",
  };

  it("takes a certificate in, on disk and queued, once", async () => {
    const first = await ask("/v1/certificates", { json: body, token: TOKENS.enqueue });
    expect(first.status).toBe(202);
    expect(first.headers.get("location")).toBe("/v1/certificates/www.example.com");
    expect(await json(first)).toMatchObject({
      name: "www.example.com",
      names: ["www.example.com", "example.com"],
      status: "queued",
      attempts: 0,
      nodes: [],
    });
    expect(await waitingJobs()).toBe(1);
    const [file] = readdirSync(join(api.home, "imports"));
    const line = JSON.parse(readFileSync(join(api.home, "imports", file ?? ""), "utf8"));
    expect(line.spec).toMatchObject({
      names: ["www.example.com", "example.com"],
      vipPort: 8443,
      priority: 1,
    });
    expect(line.spec.mail).toEqual(body.mail);

    const again = await ask("/v1/certificates", { json: body });
    expect(again.status).toBe(200);
    expect((await json(again)).name).toBe("www.example.com");
    expect(await waitingJobs()).toBe(1);
    expect(
      readFileSync(join(api.home, "imports", file ?? ""), "utf8")
        .trim()
        .split("\n"),
    ).toHaveLength(1);
  });

  it("answers 200 where only mail or ports change, and keeps the change", async () => {
    await ask("/v1/certificates", { json: body });
    const changed = await ask("/v1/certificates", { json: { ...body, vipPort: 443 } });
    expect(changed.status).toBe(200);
    expect((await api.house.certificates.get("www.example.com"))?.spec.vipPort).toBe(443);
    expect(await waitingJobs()).toBe(1);
  });

  it("says what is wrong by field, and leaves nothing", async () => {
    const wrong = { names: ["bad_name", "*.example.com"], vipPort: 99_999, mail: { to: "me" }, ca: "nobody" };
    const { errors = [] } = await problem(
      await ask("/v1/certificates", { json: wrong }),
      422,
      "invalid_certificate",
    );
    const fields = new Set(errors.map(({ field }) => field));
    for (const field of ["names", "vipPort", "mail.to", "mail.relay", "ca"]) expect(fields).toContain(field);
    for (const error of errors) expect(error.reason).toBeTruthy();
    expect(existsSync(join(api.home, "imports"))).toBe(false);
    expect(await api.house.certificates.count()).toBe(0);
  });

  it("refuses another shape with 422, and what is no JSON with 400", async () => {
    const { errors = [] } = await problem(
      await ask("/v1/certificates", {
        json: { names: ["a.example.com", "b.example.com c.example.com"], vipport: 443, vipPort: "443" },
      }),
      422,
      "invalid_request",
    );
    expect(errors).toContainEqual(
      expect.objectContaining({ field: "names.1", value: "b.example.com c.example.com" }),
    );
    expect(errors).toContainEqual({ field: "vipport", value: "443", reason: "there is no such field" });
    expect(errors).toContainEqual(expect.objectContaining({ field: "vipPort", value: "443" }));
    await problem(await ask("/v1/certificates", { json: [] }), 422, "invalid_request");
    await problem(await ask("/v1/certificates", { json: { names: [] } }), 422, "invalid_request");
    const headers = { "content-type": "application/json" };
    await problem(await ask("/v1/certificates", { csv: "{nonsense", headers }), 400, "malformed_body");
    await problem(await ask("/v1/certificates", { csv: "", method: "POST", headers }), 400, "malformed_body");
    await problem(await ask("/v1/certificates", { csv: "a.example.com" }), 415, "media_type");
    const large = { names: ["a.example.com"], profile: "x".repeat(1024 * 1024) };
    await problem(await ask("/v1/certificates", { json: large }), 413, "body_too_large");
  });

  describe("with an Idempotency-Key", () => {
    const headers = { "idempotency-key": "order-4711" };

    it("gives the same answer again", async () => {
      const first = await ask("/v1/certificates", { json: body, headers });
      const text = await first.text();
      await api.house.certificates.transition("www.example.com", 1, { status: "ordering" }, Date.now());
      const again = await ask("/v1/certificates", { json: body, headers });
      expect([first.status, again.status]).toEqual([202, 202]);
      expect(await again.text()).toBe(text);
      expect(again.headers.get("idempotency-replayed")).toBe("true");
      expect(again.headers.get("location")).toBe(first.headers.get("location"));
    });

    it("takes the same fields in another order for the same body", async () => {
      await ask("/v1/certificates", { json: body, headers });
      const turned = Object.fromEntries(Object.entries(body).reverse());
      expect((await ask("/v1/certificates", { json: turned, headers })).status).toBe(202);
    });

    it("answers 409 to another body, and does nothing", async () => {
      await ask("/v1/certificates", { json: body, headers });
      const other = await ask("/v1/certificates", { json: { names: ["other.example.com"] }, headers });
      await problem(other, 409, "idempotency_key_reused");
      expect(await api.house.certificates.count()).toBe(1);
    });

    it("does once what comes ten times at once", async () => {
      const all = await Promise.all(
        Array.from({ length: 10 }, () => ask("/v1/certificates", { json: body, headers })),
      );
      const texts = await Promise.all(all.map((answer) => answer.text()));
      expect(all.map((answer) => answer.status)).toEqual(Array(10).fill(202));
      expect(new Set(texts).size).toBe(1);
      expect(await waitingJobs()).toBe(1);
    });

    it("lets one of two different bodies at once win", async () => {
      const all = await Promise.all(
        ["a", "b"].map((name) =>
          ask("/v1/certificates", { json: { names: [`${name}.example.com`] }, headers }),
        ),
      );
      expect(all.map((answer) => answer.status).sort()).toEqual([202, 409]);
      expect(await api.house.certificates.count()).toBe(1);
    });

    it("keeps the keys of each token apart, for a day, and free after a refusal", async () => {
      await problem(
        await ask("/v1/certificates", { json: { names: ["x"] }, headers }),
        422,
        "invalid_certificate",
      );
      await ask("/v1/certificates", { json: body, headers });
      const other = { names: ["other.example.com"] };
      expect((await ask("/v1/certificates", { json: other, headers, token: TOKENS.enqueue })).status).toBe(
        202,
      );
      const slots = await api.house.redis.keys(keys.idempotency("*", "*"));
      expect(slots).toHaveLength(2);
      for (const slot of slots) {
        expect(await api.house.redis.pttl(slot)).toBeGreaterThan(86_000_000);
        expect(slot).not.toMatch(/4711|token/);
      }
      const long = { "idempotency-key": "x".repeat(256) };
      await problem(await ask("/v1/certificates", { json: body, headers: long }), 422, "invalid_request");
    });
  });
});

describe("POST /v1/imports", () => {
  it("takes 20,000 rows in as they come", async () => {
    const names = domains(20_000);
    // One piece a thousand rows, none made before the one before was taken.
    const pieces = Array.from({ length: 20 }, (_, index) =>
      names
        .slice(index * 1_000, (index + 1) * 1_000)
        .map((name) => `${name}\n`)
        .join(""),
    );
    const csv = new ReadableStream<Uint8Array>({
      pull(controller) {
        const piece = pieces.shift();
        if (piece === undefined) controller.close();
        else controller.enqueue(new TextEncoder().encode(piece));
      },
    });
    const answer = await ask("/v1/imports?source=all.csv", { csv, token: TOKENS.enqueue });
    expect(answer.status).toBe(202);
    const document = await json<{ import: string; certificates: { name: string; status: string }[] }>(answer);
    expect(document).toMatchObject({
      rows: 20_000,
      accepted: 20_000,
      rejected: [],
      duplicates: 0,
      unchanged: 0,
    });
    expect(document.certificates).toHaveLength(20_000);
    expect(new Set(document.certificates.map(({ name }) => name)).size).toBe(20_000);
    expect(answer.headers.get("location")).toBe(`/v1/imports/${document.import}`);
    expect(await waitingJobs()).toBe(20_000);
    expect((await api.house.imports.get(document.import))?.source).toBe("all.csv");

    const shown = await ask(answer.headers.get("location") ?? "");
    expect(shown.status).toBe(200);
    const state = await json<{ certificates: unknown[] }>(shown);
    expect(state).toMatchObject({
      import: document.import,
      rows: 20_000,
      read: true,
      ended: false,
      open: 20_000,
    });
    expect(state.certificates).toHaveLength(20_000);
  });

  it("reports bad rows beside the good ones, here and later", async () => {
    const csv = `${HEADER}good.example.com\nbad name!,443\ngood.example.com\nx.example.com,99999,1,,,mx.example.com\n`;
    const answer = await ask("/v1/imports", { csv });
    expect(answer.status).toBe(202);
    const document = await json<{ import: string; rejected: { line: number; column: string }[] }>(answer);
    expect(document).toMatchObject({ rows: 4, accepted: 1, duplicates: 1, unchanged: 0 });
    expect(document.rejected.map(({ line, column }) => `${line} ${column}`)).toEqual([
      "3 DOMAIN",
      "5 VIPPort",
      "5 TOAddr",
    ]);
    const state = await json<{ rejected: unknown[] }>(await ask(`/v1/imports/${document.import}`));
    expect(state.rejected).toEqual(document.rejected);
  });

  it("passes notify and warnings on", async () => {
    const csv = "DOMAIN,VIPPort,Colour\na.example.com,443,red\n";
    const document = await json<{ import: string; warnings: string[] }>(
      await ask("/v1/imports?notify=off", { csv }),
    );
    expect(document.warnings.join()).toContain("Colour");
    expect((await api.house.imports.get(document.import))?.notify).toBe("off");
  });

  it("leaves nothing of a dry run", async () => {
    await ask("/v1/certificates", { json: { names: ["host-00001.example.com"] } });
    const files = filesBelow(api.home);
    const before = (await api.house.redis.keys("*")).sort();
    const answer = await ask("/v1/imports?dryRun=true", {
      csv: `${csvOf(domains(2_500))}no good\nhost-00002.example.com\n`,
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("location")).toBeNull();
    const document = await json<{ rejected: unknown[] }>(answer);
    expect(document).toMatchObject({
      rows: 2_502,
      accepted: 2_499,
      unchanged: 1,
      duplicates: 1,
      certificates: [],
    });
    expect(document.rejected.length).toBeGreaterThan(0);
    expect((await api.house.redis.keys("*")).sort()).toEqual(before);
    await waitUntil(() => filesBelow(api.home).join() === files.join(), { what: "the files to be gone" });
  });

  it("says why something is no CSV", async () => {
    const refused = async (csv: string, status: number, code: string, options: AskOptions = {}) =>
      await problem(await ask("/v1/imports", { csv, method: "POST", ...options }), status, code);
    await refused("", 422, "csv_empty");
    await refused(HEADER, 422, "csv_empty");
    await refused('{"names":[]}\n', 422, "csv_format");
    await refused("PK\u0003\u0004 a workbook", 422, "csv_binary");
    await refused("a.example.com\n", 415, "media_type", { headers: { "content-type": "application/json" } });
    await refused("a.example.com\n", 415, "media_type", {
      headers: { "content-type": "multipart/form-data" },
    });
    await refused("a.example.com\n", 415, "csv_encoding", {
      headers: { "content-type": "text/csv; charset=iso-8859-1" },
    });
    await refused("a.example.com\n", 415, "content_encoding", { headers: { "content-encoding": "gzip" } });
    const fine = await ask("/v1/imports", {
      csv: "a.example.com\n",
      headers: { "content-type": 'Text/CSV; header=absent; charset="UTF-8"' },
    });
    expect(fine.status).toBe(202);
    expect(await api.house.imports.latest(10)).toHaveLength(1);
  });

  it("refuses unknown and wrong options, as a misspelt dryRun would be no dry run", async () => {
    for (const query of ["dryrun=true", "dryRun=yes", "notify=sometimes", "source=a%0Ab"])
      await problem(await ask(`/v1/imports?${query}`, { csv: "a.example.com\n" }), 422, "invalid_request");
    expect(await api.house.certificates.count()).toBe(0);
  });

  it("refuses what is too large, announced or not", async () => {
    const line = `${"x".repeat(60)}.example.com\n`;
    const large = line.repeat(Math.ceil(MAX_IMPORT / line.length) + 1);
    await problem(await ask("/v1/imports?dryRun=true", { csv: large }), 413, "csv_too_large");
    let sent = 0;
    const csv = new ReadableStream<Uint8Array>({
      pull(controller) {
        const bytes = new TextEncoder().encode(line.repeat(1_000));
        sent += bytes.length;
        if (sent > MAX_IMPORT + 1024 * 1024) controller.close();
        else controller.enqueue(bytes);
      },
    });
    await problem(await ask("/v1/imports?dryRun=true", { csv }), 413, "csv_too_large");
    expect((await ask("/healthz")).status).toBe(200);
  });

  it("does not take an upload that breaks off for a whole file", async () => {
    const abort = new AbortController();
    const csv = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode(csvOf(domains(3_000)))),
      pull: () => new Promise(() => undefined),
    });
    const init: RequestInit & { duplex: "half" } = {
      method: "POST",
      headers: { authorization: `Bearer ${TOKENS.admin}`, "content-type": "text/csv" },
      body: csv,
      duplex: "half",
      signal: abort.signal,
    };
    const answer = fetch(`${api.url}/v1/imports`, init).catch(() => undefined);
    await waitUntil(async () => (await api.house.certificates.count()) >= 1_000);
    abort.abort();
    await answer;
    const [id = ""] = await api.house.imports.latest(1);
    await waitUntil(async () => api.house.importFiles.ids().then((ids) => ids.includes(id)));
    expect((await api.house.imports.get(id))?.read).toBe(false);
    expect(readFileSync(api.house.importFiles.path(id), "utf8")).not.toContain('"end"');
    expect(api.lines.filter((line) => line.includes("POST"))).toEqual([]);
  });

  it("knows no import of another id", async () => {
    await problem(await ask("/v1/imports/20250101T000000-00000000"), 404, "not_found");
    await problem(await ask("/v1/imports/..%2Fapi-token"), 422, "invalid_request");
  });
});

describe("GET /v1/certificates", () => {
  interface List {
    certificates: { name: string; status: string }[];
    next?: string;
  }
  const list = async (query: string): Promise<List> =>
    await json<List>(await ask(`/v1/certificates?${query}`));

  async function accept(names: readonly string[]): Promise<void> {
    const specs = names.map((name) => ({
      names: name.split(" "),
      vipPort: 443,
      acmePort: 8888,
      keyType: "ec256" as const,
      challenge: "http-01" as const,
      priority: 50,
    }));
    await api.house.certificates.accept(specs, { now: Date.now() });
  }

  /** All pages, with something done after each. */
  async function pages(
    query: string,
    between: (page: number) => Promise<void> = async () => {},
  ): Promise<string[][]> {
    const all: string[][] = [];
    let next: string | undefined;
    do {
      const page: List = await list(`${query}${next === undefined ? "" : `&cursor=${next}`}`);
      all.push(page.certificates.map(({ name }) => name));
      next = page.next;
      await between(all.length);
    } while (next !== undefined);
    return all;
  }

  it("pages by name, right also while rows come and go", async () => {
    const names = domains(250);
    await accept(names);
    const all = await pages("limit=100", async (page) => {
      // Before where the reader is, and behind it.
      await accept([`aaa-${page}.example.com`, `zzz-${page}.example.com`]);
      await api.house.certificates.transition(
        certificateId(names[page] ?? ""),
        1,
        { status: "ordering" },
        Date.now(),
      );
    });
    const flat = all.flat();
    expect(new Set(flat).size).toBe(flat.length);
    expect(flat.filter((name) => name.startsWith("host"))).toEqual(names);
    expect(flat).toContain("zzz-1.example.com");
    expect(flat).not.toContain("aaa-1.example.com");
    expect(all.slice(0, 2).map((page) => page.length)).toEqual([100, 100]);
  });

  it("has no next page where there is nothing more", async () => {
    await accept(domains(100));
    expect((await list("")).next).toBeUndefined();
    expect((await list("limit=99")).next).toBeDefined();
    expect((await list("limit=100")).certificates).toHaveLength(100);
    expect(await list("status=serving")).toEqual({ certificates: [] });
  });

  it("filters by status", async () => {
    const names = domains(30);
    await accept(names);
    for (const name of names.slice(10, 20))
      await api.house.certificates.transition(name, 1, { status: "attention", reason: "person" }, Date.now());
    const all = await pages("status=attention&limit=4");
    expect(all.flat()).toEqual(names.slice(10, 20));
    expect((await list("status=attention")).certificates[0]).toMatchObject({ reason: "person" });
  });

  it("finds a part of any of its names, as A-label or as people write it", async () => {
    await accept(["a.example.com shop.example.org", "b.example.com", "xn--bcher-kva.example"]);
    expect(await pages("q=SHOP")).toEqual([["a.example.com"]]);
    expect(await pages(`q=${encodeURIComponent("Büch")}`)).toEqual([["xn--bcher-kva.example"]]);
    expect(await pages("q=xn--b")).toEqual([["xn--bcher-kva.example"]]);
    expect((await pages("q=nowhere")).flat()).toEqual([]);
  });

  it("looks at a bounded number for one answer, and goes on", async () => {
    await accept([...domains(12_000), "zzz.example.com"]);
    const all = await pages("q=zzz");
    expect(all.length).toBeGreaterThan(1);
    expect(all.length).toBeLessThan(5);
    expect(all.flat()).toEqual(["zzz.example.com"]);
    const found = await pages("q=host&limit=500");
    expect(found.flat()).toHaveLength(12_000);
  });

  it("refuses wrong queries", async () => {
    for (const query of ["limit=0", "limit=501", "limit=x", "status=fine", "cursor=%21", "stats=queued"]) {
      const { errors = [] } = await problem(await ask(`/v1/certificates?${query}`), 422, "invalid_request");
      expect(errors[0]?.field).toBe(query.split("=")[0]);
    }
  });

  it("shows one with its history, however its name is written", async () => {
    const label = "a".repeat(60);
    const long = `${label}.${label}.${label}.example.com`;
    await accept(["xn--bcher-kva.example", long]);
    const { certificates } = api.house;
    await certificates.transition(
      "xn--bcher-kva.example",
      1,
      { status: "ordering", attempts: 2, event: { what: "ordered" } },
      Date.now(),
    );
    for (const name of ["xn--bcher-kva.example", "B%C3%BCcher.example", "b%C3%BCcher.example."]) {
      const answer = await ask(`/v1/certificates/${name}`);
      expect(answer.status).toBe(200);
      expect(await json(answer)).toMatchObject({
        name: "xn--bcher-kva.example",
        status: "ordering",
        attempts: 2,
        events: [{ what: "ordered" }],
      });
    }
    expect((await ask(`/v1/certificates/${long}`)).status).toBe(200);
    await problem(await ask("/v1/certificates/other.example.com"), 404, "not_found");
    await problem(await ask("/v1/certificates/%2E%2E"), 404, "not_found");
  });
});

describe("access", () => {
  it("is open for /healthz and /readyz alone", async () => {
    expect(await json(await ask("/healthz", { token: "" }))).toEqual({ status: "alive" });
    expect(await json(await ask("/readyz", { token: "" }))).toEqual({ status: "ready" });
    for (const path of [
      "/v1/certificates",
      "/v1/imports/x",
      "/metrics",
      "/openapi.json",
      "/queues",
      "/nowhere",
      "/",
    ]) {
      const answer = await ask(path, { token: "" });
      expect(answer.headers.get("www-authenticate")).toContain("Bearer");
      await problem(answer, 401, "unauthorized");
    }
  });

  it("takes tokens in the header alone", async () => {
    const wrong = await ask("/metrics", { token: "guess" });
    expect(wrong.headers.get("www-authenticate")).toContain("invalid_token");
    await problem(wrong, 401, "unauthorized");
    const query = `access_token=${TOKENS.admin}&token=${TOKENS.admin}`;
    await problem(await ask(`/v1/certificates?${query}`, { token: "" }), 401, "unauthorized");
    const authorization = `Basic ${Buffer.from(`x:${TOKENS.admin}`).toString("base64")}`;
    await problem(await ask("/metrics", { token: "", headers: { authorization } }), 401, "unauthorized");
  });

  it("keeps to scopes", async () => {
    const json = { names: ["a.example.com"] };
    const csv = "a.example.com\n";
    await problem(await ask("/v1/certificates", { token: TOKENS.read, json }), 403, "forbidden");
    await problem(await ask("/v1/imports", { token: TOKENS.read, csv }), 403, "forbidden");
    for (const path of ["/v1/certificates", "/metrics", "/queues"])
      await problem(await ask(path, { token: TOKENS.enqueue }), 403, "forbidden");
    for (const path of ["/v1/certificates", "/metrics", "/queues", "/openapi.json"])
      expect((await ask(path, { token: TOKENS.read })).status).toBe(200);
    expect((await ask("/v1/certificates", { token: TOKENS.enqueue, json })).status).toBe(202);
    expect((await ask("/openapi.json", { token: TOKENS.enqueue })).status).toBe(200);
  });

  it("answers a caller whose token is wrong before the whole body has come", async () => {
    const csv = csvOf(domains(10_000));
    await problem(await ask("/v1/imports", { csv, token: "guess" }), 401, "unauthorized");
  });

  it("answers unknown routes by a problem", async () => {
    await problem(await ask("/v2/certificates"), 404, "not_found");
    await problem(await ask("/v1/certificates/%zz"), 400, "bad_request");
    await problem(await ask("/v1/certificates", { method: "PUT", json: {} }), 404, "not_found");
  });
});

describe("/metrics and /openapi.json", () => {
  it("count what there is", async () => {
    await ask("/v1/imports", { csv: csvOf(domains(3)) });
    await api.house.redis.hincrby(keys.counters, "mail_failed", 2);
    const stop = await api.house.alive.beat(["issue"], "node:1");
    const answer = await ask("/metrics");
    expect(answer.headers.get("content-type")).toContain("text/plain");
    const text = await answer.text();
    for (const line of [
      'certherd_certificates{status="queued"} 3',
      'certherd_certificates{status="serving"} 0',
      'certherd_queue_jobs{queue="admit-letsencrypt-staging",state="prioritized"} 3',
      'certherd_workers_alive{role="issue"} 1',
      'certherd_workers_alive{role="up"} 0',
      'certherd_failures_total{kind="mail_failed"} 2',
    ])
      expect(text).toContain(`${line}\n`);
    expect(text).toContain("process_resident_memory_bytes");
    expect(await (await ask("/metrics")).text()).toContain('certherd_failures_total{kind="mail_failed"} 2\n');
    await stop();
  });

  it("describe every route", async () => {
    const document = await json<{ openapi: string; paths: Record<string, Record<string, Document>> }>(
      await ask("/openapi.json"),
    );
    expect(document.openapi).toMatch(/^3\.1/);
    expect(Object.keys(document.paths).sort()).toEqual([
      "/healthz",
      "/metrics",
      "/readyz",
      "/v1/certificates",
      "/v1/certificates/{name}",
      "/v1/imports",
      "/v1/imports/{id}",
    ]);
    const { post, get } = document.paths["/v1/certificates"] ?? {};
    expect(JSON.stringify(post?.requestBody)).toContain('"vipPort"');
    expect(JSON.stringify(get?.parameters)).toContain('"cursor"');
    expect(JSON.stringify(document.paths["/v1/imports"]?.post?.requestBody)).toContain("text/csv");
  });
});

describe("/queues", () => {
  const PAUSE = `/queues/api/queues/${queueNames.admit("letsencrypt-staging")}/pause`;

  it("asks browsers for a password, which is the token", async () => {
    const answer = await ask("/queues", { token: "" });
    expect(answer.headers.get("www-authenticate")).toMatch(/Basic realm.*Bearer/);
    await problem(answer, 401, "unauthorized");
    await problem(await ask(PAUSE, { method: "PUT", token: "" }), 401, "unauthorized");
    const authorization = `Basic ${Buffer.from(`anybody:${TOKENS.read}`).toString("base64")}`;
    const page = await ask("/queues", { token: "", headers: { authorization } });
    expect(page.status).toBe(200);
    const html = await page.text();
    expect(html).toContain("Certherd queues");
    const script = /src="([^"]+\.js)"/.exec(html)?.[1] ?? "";
    const asset = new URL(script, `${api.url}/queues/`);
    expect((await fetch(asset)).status).toBe(401);
    expect((await fetch(asset, { headers: { authorization } })).status).toBe(200);
  });

  it("shows all queues", async () => {
    const { queues } = await json<{ queues: { name: string; readOnlyMode: boolean }[] }>(
      await ask("/queues/api/queues", { token: TOKENS.read }),
    );
    expect(queues.map(({ name }) => name).sort()).toEqual([
      "admit-letsencrypt-staging",
      "notify",
      "order-letsencrypt-staging",
    ]);
    expect(queues.every(({ readOnlyMode }) => readOnlyMode)).toBe(true);
    const asAdmin = await json<{ queues: { readOnlyMode: boolean; allowRetries: boolean }[] }>(
      await ask("/queues/api/queues"),
    );
    expect(asAdmin.queues.every(({ readOnlyMode, allowRetries }) => !readOnlyMode && allowRetries)).toBe(
      true,
    );
  });

  it("lets admins alone change anything, and no other site", async () => {
    const queue = api.house.producer.queue(queueNames.admit("letsencrypt-staging"));
    expect((await ask(PAUSE, { method: "PUT", token: TOKENS.read })).status).toBe(405);
    await ask("/queues/api/queues/pause", { method: "PUT", token: TOKENS.read });
    const headers = { "sec-fetch-site": "cross-site" };
    await problem(await ask(PAUSE, { method: "PUT", headers }), 403, "forbidden");
    expect(await queue.isPaused()).toBe(false);
    expect((await ask(PAUSE, { method: "PUT" })).status).toBe(200);
    expect(await queue.isPaused()).toBe(true);
    await queue.resume();
  });
});

describe("a token of its own", () => {
  it("is made once, for its owner alone, and never logged", async () => {
    const env = {
      CERTHERD_HOME: tempDir("certherd-own"),
      REDIS_URL: server.url,
      CERTHERD_LISTEN: "127.0.0.1:0",
    };
    const start = async () => {
      const lines: string[] = [];
      const house = await openHouse(loadConfig(env), (line) => lines.push(line));
      const service = await startApi(house);
      const close = async () => {
        await service.close();
        await house.close();
      };
      return { lines, url: service.url, close };
    };
    const first = await start();
    const path = join(env.CERTHERD_HOME, "api-token");
    const token = readFileSync(path, "utf8").trim();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(token.length).toBeGreaterThan(30);
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${first.url}/metrics`, { headers })).status).toBe(200);
    expect(first.lines.join("\n")).toContain(path);
    expect(first.lines.join("\n")).not.toContain(token);
    await first.close();
    const second = await start();
    expect((await fetch(`${second.url}/metrics`, { headers })).status).toBe(200);
    expect((await fetch(`${second.url}/metrics`)).status).toBe(401);
    await second.close();
  });
});

describe("its port", () => {
  let other: Server | undefined;

  afterEach(() => {
    other?.close();
  });

  it("may be taken, and then the error says so", async () => {
    const port = await freePort();
    other = createServer().listen(port, "127.0.0.1");
    const error = await startTestApi(server.url, { env: { CERTHERD_LISTEN: `127.0.0.1:${port}` } }).catch(
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof AppError)) throw error;
    expect(error.disposition).toBe("usage");
    expect(error.message).toContain(`Port ${port} on 127.0.0.1 is taken; set CERTHERD_LISTEN`);
  });
});

describe("without Redis", () => {
  let own: RedisServer;
  let lost: TestApi;

  beforeEach(async () => {
    own = await startRedis({ appendOnly: true });
    lost = await startTestApi(own.url);
  });

  afterEach(async () => {
    await lost.stop();
    await own.stop();
  });

  async function quickly(path: string, options: AskOptions, within: number): Promise<void> {
    const start = Date.now();
    const answer = await lost.ask(path, options);
    await problem(answer, 503, "redis_unavailable");
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(Date.now() - start).toBeLessThan(within);
  }

  it("answers 503 at once while it is stopped, and works again when it is back", async () => {
    await own.kill9();
    await waitUntil(() => lost.house.redis.status !== "ready");
    await quickly("/readyz", { token: "" }, 1_500);
    for (const path of [
      "/v1/certificates",
      "/v1/certificates/a.example.com",
      "/metrics",
      "/queues/api/queues",
    ])
      await quickly(path, {}, 1_000);
    await quickly("/v1/certificates", { json: { names: ["a.example.com"] } }, 1_000);
    await quickly("/v1/imports", { csv: "a.example.com\n" }, 1_000);
    expect((await lost.ask("/healthz")).status).toBe(200);
    expect((await lost.ask("/openapi.json")).status).toBe(200);
    await problem(await lost.ask("/metrics", { token: "guess" }), 401, "unauthorized");
    await own.restart();
    await waitUntil(async () => (await lost.ask("/readyz")).status === 200);
    expect((await lost.ask("/v1/certificates", { json: { names: ["a.example.com"] } })).status).toBe(202);
  });

  it("answers 503 in seconds while it hangs", async () => {
    expect((await lost.ask("/v1/certificates", { json: { names: ["a.example.com"] } })).status).toBe(202);
    const { import: id } = await json<{ import: string }>(
      await lost.ask("/v1/imports", { csv: csvOf(domains(5)) }),
    );
    process.kill(own.pid, "SIGSTOP");
    try {
      await Promise.all([
        quickly("/readyz", { token: "" }, 2_000),
        quickly("/v1/certificates", {}, 8_000),
        quickly("/v1/certificates", { json: { names: ["b.example.com"] } }, 8_000),
        quickly("/v1/imports", { csv: csvOf(domains(3_000, "late")) }, 8_000),
        quickly(`/v1/imports/${id}`, {}, 8_000),
        quickly("/metrics", {}, 8_000),
        quickly("/queues/api/queues", {}, 8_000),
      ]);
    } finally {
      process.kill(own.pid, "SIGCONT");
    }
    await waitUntil(async () => (await lost.ask("/readyz")).status === 200);
    expect((await lost.ask("/v1/certificates")).status).toBe(200);
  });
});

describe("closing", () => {
  it("lets a request in hand end, and then refuses", async () => {
    const closing = await startTestApi(server.url);
    const answer = closing.ask("/v1/imports", { csv: csvOf(domains(5_000, "last")) });
    await waitUntil(async () => (await closing.house.certificates.count()) > 0);
    await closing.stop();
    expect((await json<{ accepted: number }>(await answer)).accepted).toBe(5_000);
    await expect(fetch(`${closing.url}/healthz`)).rejects.toThrow();
  });
});
