/** Asking for certificates and for how they stand: the HTTP API over a real Redis, by real HTTP. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { certificateId } from "../../src/core/certificate.ts";
import { queueNames } from "../../src/queue/names.ts";
import { keys } from "../../src/store/keys.ts";
import { type AskOptions, domains, json, problem, type TestApi, TOKENS } from "../support/api.ts";
import { withTestApi } from "../support/with-api.ts";

let api: TestApi;

withTestApi(
  (started) => {
    api = started;
  },
  { yaml: "mail: { relays: [mail.example.com] }" },
);

const ask = (path: string, options?: AskOptions): Promise<Response> => api.ask(path, options);

async function waitingJobs(): Promise<number> {
  const counts = await api.house.producer.queue(queueNames.admit("letsencrypt-staging")).getJobCounts();
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

describe("POST /v1/certificates", () => {
  const body = {
    names: ["www.example.com", "Example.com"],
    vipPort: 8443,
    mail: { from: "a@example.com", to: "b@example.com", relay: "mail.example.com", port: 2525 },
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
    expect(line.spec.mail).toEqual({ ...body.mail, checked: true });

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
    expect((await list("q=zzz")).certificates).toMatchObject([{ name: "zzz.example.com" }]);
    const all = await pages("q=zz.example");
    expect(all).toEqual([[], ["zzz.example.com"]]);
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
