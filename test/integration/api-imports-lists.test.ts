/** Imports as lists, numbers and files to download. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { rfc3339 } from "../../src/core/clock.ts";
import { csvOf, domains, json, problem, type TestApi, TOKENS } from "../support/api.ts";
import { waitUntil } from "../support/temp.ts";
import { withTestApi } from "../support/with-api.ts";

let api: TestApi;

withTestApi((started) => {
  api = started;
});

interface Listed {
  imports: { import: string; source: string }[];
  next?: string;
}

async function importOf(csv: string, query = ""): Promise<string> {
  const answer = await api.ask(`/v1/imports${query}`, { csv });
  expect(answer.status).toBe(202);
  return (await json<{ import: string }>(answer)).import;
}

const list = async (query: string): Promise<Listed> => json<Listed>(await api.ask(`/v1/imports${query}`));
const read = (path: string): Promise<Response> => api.ask(path, { token: TOKENS.read });

describe("GET /v1/imports", () => {
  it("lists them, newest first", async () => {
    expect(await list("")).toEqual({ imports: [] });
    const first = await importOf("a.example.com\nbad_name\na.example.com\n", "?source=first.csv");
    const second = await importOf("b.example.com\n");
    const { imports, next } = await list("");
    expect(next).toBeUndefined();
    expect(imports.map((one) => one.import)).toEqual([second, first]);
    expect(imports[1]).toEqual({
      import: first,
      source: "first.csv",
      at: expect.stringMatching(/Z$/),
      rows: 3,
      accepted: 1,
      duplicates: 1,
      unchanged: 0,
      retried: 0,
      updated: 0,
      rejectedRows: 1,
      read: true,
      ended: false,
      open: 1,
    });
  });

  it("comes in pages that stay right while new ones arrive, several of one moment too", async () => {
    const { imports } = api.house;
    const at = [1_000, 2_000, 2_000, 2_000, 2_000, 3_000];
    for (const [index, moment] of at.entries()) await imports.create(`i${index}`, "x", "off", moment);
    const first = await list("?limit=2");
    expect(first.imports.map((one) => one.import)).toEqual(["i5", "i4"]);
    await imports.create("new", "x", "off", 4_000);
    const second = await list(`?limit=2&cursor=${first.next}`);
    expect(second.imports.map((one) => one.import)).toEqual(["i3", "i2"]);
    const third = await list(`?limit=2&cursor=${second.next}`);
    expect(third.imports.map((one) => one.import)).toEqual(["i1", "i0"]);
    expect(third.next).toBeUndefined();
    await problem(await api.ask("/v1/imports?cursor=x"), 422, "invalid_request");
  });
});

describe("GET /v1/imports/{id}/progress", () => {
  it("counts how its certificates stand, and says when they should be done", async () => {
    const id = await importOf(csvOf(domains(60)));
    const { certificates, clock } = api.house;
    await certificates.transition(
      "host-00001.example.com",
      1,
      { status: "attention", attempts: 1 },
      clock.now(),
    );
    const answer = await read(`/v1/imports/${id}/progress`);
    expect(answer.status).toBe(200);
    const progress = await json<{ finishesAt: string }>(answer);
    expect(progress).toMatchObject({
      import: id,
      rows: 60,
      read: true,
      ended: false,
      open: 59,
      statuses: { queued: 59, attention: 1 },
    });
    expect(progress.finishesAt > rfc3339(clock.now())).toBe(true);
    await problem(await read("/v1/imports/none/progress"), 404, "not_found");
  });
});

describe("files to download", () => {
  const CUSTOMER = {
    code: "customer_record",
    type: "urn:certherd:error:customer_record",
    detail: "a.example.com A 203.0.113.7 is to be set; today it is none",
    records: [
      { name: "a.example.com", type: "A", set: "203.0.113.7", today: "none", why: "it has no address" },
      { name: "a.example.com", type: "AAAA", today: "=1+1", why: "it leads elsewhere" },
    ],
  };

  it("the report has each certificate, the list for customers what they have to set", async () => {
    const id = await importOf(
      "a.example.com www.a.example.com,443,8888,f@x.example,to@x.example,mx.x.example\nb.example.com\n",
      "?source=C%3A%5Cmy%20lists%5Caugust%C3%BC.csv",
    );
    const wait = { status: "waiting", reason: "customer", attempts: 0, error: CUSTOMER } as const;
    await api.house.certificates.transition("a.example.com", 1, wait, api.house.clock.now());
    const report = await read(`/v1/imports/${id}/report.csv`);
    expect(report.headers.get("content-type")).toBe("text/csv; charset=utf-8");
    expect(report.headers.get("content-disposition")).toBe('attachment; filename="august_.report.csv"');
    const lines = (await report.text()).trimEnd().split("\n");
    expect(lines[0]).toBe("Name,Names,Status,Reason,Until,Detail,NotBefore,NotAfter,Serial,Issuer,DNS");
    expect(lines.slice(1).sort()).toEqual([
      `a.example.com,a.example.com www.a.example.com,waiting,customer,,${CUSTOMER.detail},,,,,set a.example.com A 203.0.113.7 (today: none) | remove a.example.com AAAA (today: =1+1)`,
      "b.example.com,b.example.com,queued,,,,,,,,",
    ]);
    expect(await (await read(`/v1/imports/${id}/customers.csv`)).text()).toBe(
      [
        "DOMAIN,Record,Type,Set,Today,Why,Mail",
        "a.example.com,a.example.com,A,203.0.113.7,none,it has no address,to@x.example",
        "a.example.com,a.example.com,AAAA,(remove),'=1+1,it leads elsewhere,to@x.example",
        "",
      ].join("\n"),
    );
  });

  it("the rejected rows can be mended and imported again", async () => {
    const header = "DOMAIN,Notes,VIPPort\n";
    const id = await importOf(`${header}a.example.com,fine,443\nb_c.example.com,"x, y",443\n=d,-1,0\n`);
    const path = `${api.house.importFiles.root}/${id}.rejected.csv`;
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const answer = await read(`/v1/imports/${id}/rejected.csv`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-disposition")).toBe('attachment; filename="an_upload.rejected.csv"');
    const text = await answer.text();
    expect(text).toBe(readFileSync(path, "utf8"));
    const lines = text.split("\n");
    expect(lines[0]).toBe("DOMAIN,Notes,VIPPort,Line,Column,Value,Reason");
    expect(lines[1]).toContain('b_c.example.com,"x, y",443,3,DOMAIN,b_c.example.com,');
    // As it came; what is only there to be read is made safe.
    expect(lines[2]).toMatch(/^=d,-1,0,4,DOMAIN \| VIPPort,'=d \| 0,/);
    const mended = text.replace("b_c.example.com,", "b-c.example.com,");
    const again = await json(await api.ask("/v1/imports", { csv: mended }));
    expect(again).toMatchObject({ rows: 2, accepted: 1 });
    expect(again.warnings).toEqual([expect.stringContaining("Notes")]);
  });

  it("an import that broke off keeps those that were read", async () => {
    const bad = Array.from({ length: 1_500 }, (_, index) => `bad_${index}.example.com`);
    const abort = new AbortController();
    const init: RequestInit & { duplex: "half" } = {
      method: "POST",
      headers: { authorization: `Bearer ${TOKENS.admin}`, "content-type": "text/csv" },
      body: new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode(csvOf(bad))),
        pull: () => new Promise(() => undefined),
      }),
      duplex: "half",
      signal: abort.signal,
    };
    const answer = fetch(`${api.url}/v1/imports`, init).catch(() => undefined);
    const { imports } = api.house;
    await waitUntil(async () => {
      const [id = ""] = await imports.latest(1);
      return ((await imports.get(id))?.counts.rejectedRows ?? 0) > 0;
    });
    abort.abort();
    await answer;
    const [id = ""] = await imports.latest(1);
    const text = await (await read(`/v1/imports/${id}/rejected.csv`)).text();
    expect(text.split("\n").length).toBeGreaterThan(1_000);
    expect(text.endsWith("\n")).toBe(true);
  });

  it("says where there is nothing", async () => {
    const id = await importOf("a.example.com\n");
    const none = await problem(await read(`/v1/imports/${id}/rejected.csv`), 404, "not_found");
    expect(none.detail).toBe("No row of this import was rejected.");
    for (const kind of ["report", "rejected", "customers"])
      await problem(await read(`/v1/imports/none/${kind}.csv`), 404, "not_found");
    expect(await (await read(`/v1/imports/${id}/customers.csv`)).text()).toBe(
      "DOMAIN,Record,Type,Set,Today,Why,Mail\n",
    );
  });

  it("a dry run keeps no rejected rows", async () => {
    await (await api.ask("/v1/imports?dryRun=true", { csv: "bad_name.example.com\n" })).text();
    const { root } = api.house.importFiles;
    expect(existsSync(root) ? readdirSync(root) : []).toEqual([]);
  });

  it("a dry run takes away what those of killed processes have left", async () => {
    const [killed, underWay] = [join(api.home, ".dry-run-killed"), join(api.home, ".dry-run-under-way")];
    for (const folder of [killed, underWay]) mkdirSync(join(folder, "imports"), { recursive: true });
    const longAgo = Date.now() / 1_000 - 2 * 86_400;
    utimesSync(killed, longAgo, longAgo);
    await (await api.ask("/v1/imports?dryRun=true", { csv: "a.example.com\n" })).text();
    expect([existsSync(killed), existsSync(underWay)]).toEqual([false, true]);
  });
});
