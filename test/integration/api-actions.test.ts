/** What may be done about certificates over HTTP, the limits, and who did what: over a real Redis, by real HTTP. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { AppError } from "../../src/core/errors.ts";
import { type AskOptions, json, problem, type TestApi, TOKENS } from "../support/api.ts";
import { withTestApi } from "../support/with-api.ts";

const NAME = "www.example.com";
const PATH = `/v1/certificates/${NAME}`;
const ACTIONS = ["renew", "retry", "pause", "resume", "revoke"] as const;

let api: TestApi;

const restart = withTestApi((started) => {
  api = started;
});

beforeEach(async () => {
  await post("/v1/certificates", { json: { names: [NAME] } });
});

const ask = (path: string, options?: AskOptions): Promise<Response> => api.ask(path, options);
const post = (path: string, options: AskOptions = {}): Promise<Response> =>
  ask(path, { method: "POST", ...options });

async function put(status: "attention" | "issued"): Promise<void> {
  const record = await api.house.certificates.get(NAME);
  await api.house.certificates.transition(NAME, record?.generation ?? 0, { status }, Date.now());
}

interface Audit {
  entries: { at: string; by: string; action: string; certificate?: string; detail?: string }[];
  next?: string;
}

describe("actions on one certificate", () => {
  it("pauses and resumes", async () => {
    const paused = await post(`${PATH}/pause`);
    expect(paused.status).toBe(200);
    expect(await json(paused)).toMatchObject({ name: NAME, status: "paused", reason: "person" });
    expect((await post(`${PATH}/pause`)).status).toBe(200);
    await problem(await post(`${PATH}/renew`), 409, "paused");
    const resumed = await post(`${PATH}/resume`);
    expect(resumed.status).toBe(200);
    expect((await json(resumed)).status).toBe("queued");
    await problem(await post(`${PATH}/resume`), 409, "not_paused");
  });

  it("tries again what has failed, and nothing else", async () => {
    await problem(await post(`${PATH}/retry`), 409, "not_failed");
    await put("attention");
    const retried = await post(`${PATH}/retry`, { token: TOKENS.enqueue });
    expect(retried.status).toBe(202);
    expect((await json(retried)).status).toBe("queued");
  });

  it("lets a stopped account go on for admins alone", async () => {
    const account = "letsencrypt-staging";
    const stopped = () => api.house.stops.reason(account);
    const refusal = new AppError("no", { code: "unauthorized", disposition: "account" });
    await api.house.stops.stop(account, refusal);
    await put("attention");
    expect((await post(`${PATH}/retry`, { token: TOKENS.enqueue })).status).toBe(202);
    expect(await stopped()).toBeDefined();
    await put("attention");
    expect((await post(`${PATH}/retry`)).status).toBe(202);
    expect(await stopped()).toBeUndefined();
  });

  it("renews, unless it is on its way", async () => {
    await problem(await post(`${PATH}/renew`), 409, "on_its_way");
    await put("issued");
    const renewed = await post(`${PATH}/renew`, { token: TOKENS.enqueue });
    expect(renewed.status).toBe(202);
    expect((await json(renewed)).status).toBe("queued");
  });

  it("says what it cannot revoke, and changes nothing", async () => {
    await problem(await post(`${PATH}/revoke`), 409, "nothing_to_revoke");
    await problem(await ask(`${PATH}?revoke=true`, { method: "DELETE" }), 409, "nothing_to_revoke");
    expect((await api.house.certificates.get(NAME))?.status).toBe("queued");
    const answer = await post(`${PATH}/revoke`, { json: { reason: "boredom", more: 1 } });
    const { errors = [] } = await problem(answer, 422, "invalid_request");
    expect(errors.map(({ field }) => field)).toContain("reason");
  });

  it("removes it, and it stays away", async () => {
    const removed = await ask(PATH, { method: "DELETE" });
    expect(removed.status).toBe(200);
    expect(await json(removed)).toEqual({ name: NAME, removed: true, revoked: false, owed: [], lost: [] });
    await problem(await ask(PATH), 404, "not_found");
    await problem(await ask(PATH, { method: "DELETE" }), 404, "not_found");
  });

  it("is removed once by several who ask at once", async () => {
    await post("/v1/certificates", { json: { names: [NAME] } });
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(PATH, { method: "DELETE" })));
    const statuses = answers.map(({ status }) => status);
    expect(statuses).toContain(200);
    expect(statuses.filter((status) => status !== 200 && status !== 404)).toEqual([]);
    expect(await api.house.certificates.count()).toBe(0);
  });

  it("answers 404 for what is not there, and 403 for what a token may not do", async () => {
    for (const action of ACTIONS) {
      await problem(await post(`/v1/certificates/nobody.example/${action}`), 404, "not_found");
      await problem(await post(`${PATH}/${action}`, { token: TOKENS.read }), 403, "forbidden");
    }
    for (const action of ["pause", "resume", "revoke"])
      await problem(await post(`${PATH}/${action}`, { token: TOKENS.enqueue }), 403, "forbidden");
    await problem(await ask(PATH, { method: "DELETE", token: TOKENS.enqueue }), 403, "forbidden");
    await problem(await ask("/v1/audit", { token: TOKENS.read }), 403, "forbidden");
    expect((await api.house.certificates.get(NAME))?.status).toBe("queued");
  });
});

describe("DELETE with nodes", () => {
  it("answers 202 while a node still owes it", async () => {
    const yaml = [
      "terminations:",
      "  443:",
      "    nodes:",
      "      - { name: lb1, address: 127.0.0.1, port: 1, target: { command: { run: [/bin/true] } } }",
    ].join("\n");
    await restart(yaml);
    await post("/v1/certificates", { json: { names: [NAME] } });
    const state = { ok: true, serial: "AB", at: Date.now(), vipPort: 443 };
    await api.house.redis.hset(`{certherd}:cert:${NAME}`, "nodes", JSON.stringify({ lb1: state }));
    const removed = await ask(PATH, { method: "DELETE" });
    const body = await json(removed);
    expect({ status: removed.status, owed: body.owed }).toEqual({ status: 202, owed: ["lb1"] });
    expect((await json(await ask(PATH))).status).toBe("removed");
    await problem(await post(`${PATH}/renew`), 404, "not_found");
  });
});

describe("GET /v1/limits", () => {
  it("answers as the command does", async () => {
    const answer = await ask("/v1/limits", { token: TOKENS.read });
    expect(answer.status).toBe(200);
    const bucketless = { ca: "letsencrypt-staging", account: null, buckets: [] };
    expect(await json(answer)).toEqual({ accounts: [bucketless] });
  });
});

describe("the audit log", () => {
  it("tells who asked for what: on disk, over HTTP and in the certificate's history", async () => {
    await post(`${PATH}/pause`);
    await put("attention");
    await post(`${PATH}/retry`, { token: TOKENS.enqueue });
    const { entries } = await json<Audit>(await ask("/v1/audit"));
    expect(entries[0]).toMatchObject({ by: "api:enqueue", action: "retry", certificate: NAME });
    expect(entries.slice(1).map(({ by, action }) => [by, action])).toEqual([
      ["api:full", "pause"],
      ["api:full", "enqueue"],
    ]);
    const file = join(api.home, "audit.jsonl");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const lines = readFileSync(file, "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line)).reverse()).toEqual(entries);
    expect(lines.join()).not.toContain(TOKENS.admin);
    const { events } = await json<{ events: { what: string; by?: string }[] }>(await ask(PATH));
    expect(events).toContainEqual(expect.objectContaining({ what: "asked to pause", by: "api:full" }));
  });

  it("comes in pages that stay right while it grows", async () => {
    for (let index = 0; index < 5; index++)
      await api.house.audit.note({ by: "cli:root", action: "retry", detail: String(index) });
    const first = await json<Audit>(await ask("/v1/audit?limit=2"));
    await api.house.audit.note({ by: "cli:root", action: "retry", detail: "new" });
    const second = await json<Audit>(await ask(`/v1/audit?limit=3&cursor=${first.next}`));
    expect([...first.entries, ...second.entries].map(({ detail }) => detail)).toEqual([
      "4",
      "3",
      "2",
      "1",
      "0",
    ]);
    const last = await json<Audit>(await ask(`/v1/audit?cursor=${second.next}`));
    expect(last.next).toBeUndefined();
    await problem(await ask("/v1/audit?cursor=x"), 422, "invalid_request");
  });
});
