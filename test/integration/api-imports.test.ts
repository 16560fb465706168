/** CSVs as streams over HTTP. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { queueNames } from "../../src/queue/names.ts";
import { type AskOptions, csvOf, domains, json, problem, type TestApi, TOKENS } from "../support/api.ts";
import { waitUntil } from "../support/temp.ts";
import { withTestApi } from "../support/with-api.ts";

const MAX_IMPORT = 1024 * 1024;
const HEADER = "DOMAIN,VIPPort,ACMEPort,FROMAddr,TOAddr,RELAYAddr,RELAYPort\n";

let api: TestApi;

withTestApi(
  (started) => {
    api = started;
  },
  { yaml: `maxImportBytes: ${MAX_IMPORT}` },
);

const ask = (path: string, options?: AskOptions): Promise<Response> => api.ask(path, options);

async function waitingJobs(): Promise<number> {
  const counts = await api.house.producer.queue(queueNames.admit("letsencrypt-staging")).getJobCounts();
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true }).map(String).sort();
}

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
    const csv = `${HEADER}good.example.com\nbad_name,443\ngood.example.com\nx.example.com,99999,1,,,mx.example.com\n`;
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
    const document = await json<{ rejected: unknown[]; plan: { certificates: unknown[] } }>(answer);
    expect(document).toMatchObject({
      rows: 2_502,
      accepted: 2_499,
      unchanged: 1,
      duplicates: 1,
      certificates: [],
      plan: { orders: 2_499, finishesAt: expect.any(String) },
    });
    expect(document.plan.certificates).toHaveLength(2_499);
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
