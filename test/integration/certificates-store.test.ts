/** The index of all certificates, in a real Redis. */
import { describe, expect, it } from "vitest";
import type { CertificateSpec, Reason, Status } from "../../src/core/certificate.ts";
import { CertificateStore } from "../../src/store/certificates.ts";
import type { Redis } from "../../src/store/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { withRedis } from "../support/with-redis.ts";

const NOW = Date.UTC(2026, 7, 28, 14, 0, 0);
const LEAF = { notBefore: NOW, notAfter: NOW + 90_000, issuer: "E7", serial: "0AB1", renewAt: NOW + 60_000 };
const MAIL = { to: "ops@example.com", relay: "mail.example.com", port: 25 };

let redis: Redis;
let store: CertificateStore;

withRedis((client) => {
  redis = client;
  store = new CertificateStore(redis);
});

async function accept(spec: CertificateSpec, options: { importId?: string; force?: boolean } = {}) {
  const [accepted] = await store.accept([spec], { ...options, now: NOW });
  return accepted;
}

/** Accepts a certificate for a.example and brings it into that status. */
async function given(status: Status, reason?: Reason): Promise<void> {
  await accept(makeSpec("a.example"));
  const because = reason === undefined ? {} : { reason, detail: "why", until: NOW + 1_000 };
  await store.transition("a.example", 1, { status, attempts: 2, ...because }, NOW);
}

async function statuses(): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const status of [
    "queued",
    "waiting",
    "ordering",
    "validating",
    "issued",
    "attention",
    "removed",
  ] as const) {
    const records = await store.page({ status, limit: 100 });
    if (records.length > 0) found[status] = records.map(({ id }) => id);
  }
  return found;
}

describe("accepting", () => {
  it("takes what is new, as its first generation", async () => {
    const spec = makeSpec(["*.example.com", "example.com"], { mail: MAIL });
    expect(await accept(spec)).toMatchObject({ id: "_.example.com", action: "new", generation: 1 });
    expect(await store.get("_.example.com")).toEqual({
      id: "_.example.com",
      spec,
      status: "queued",
      attempts: 0,
      generation: 1,
      acceptedAt: NOW,
    });
  });

  it.each([
    ["queued", undefined],
    ["waiting", "limit"],
    ["ordering", undefined],
    ["finalizing", undefined],
    ["issued", undefined],
    ["serving", undefined],
    ["paused", undefined],
  ] as const)("leaves what is %s (%s) as it is", async (status, reason) => {
    await given(status, reason);
    const before = await store.get("a.example");
    expect(await accept(makeSpec("a.example"))).toMatchObject({ action: "unchanged", generation: 1 });
    expect(await store.get("a.example")).toEqual(before);
  });

  it.each([
    ["attention", "person"],
    ["waiting", "retry"],
    ["waiting", "customer"],
    ["waiting", "node"],
    ["waiting", "ca"],
  ] as const)("tries again what is %s (%s), from the first attempt on", async (status, reason) => {
    await given(status, reason);
    await store.claimOrder("a.example", 1, "https://ca/order/1");
    expect(await accept(makeSpec("a.example"))).toMatchObject({ action: "retry", generation: 2 });
    expect(await store.get("a.example")).toEqual({
      id: "a.example",
      spec: makeSpec("a.example"),
      status: "queued",
      attempts: 0,
      generation: 2,
      acceptedAt: NOW,
    });
    expect(await statuses()).toEqual({ queued: ["a.example"] });
  });

  it("takes over other mail and ports without a new order", async () => {
    await given("issued");
    const spec = makeSpec("a.example", { mail: MAIL, acmePort: 9_999 });
    expect(await accept(spec)).toMatchObject({ action: "updated", generation: 1 });
    expect(await store.get("a.example")).toMatchObject({ spec, status: "issued", attempts: 2 });
  });

  it("orders anew for other names under the same first one, whatever the status, and keeps the leaf", async () => {
    await given("issued");
    await store.transition("a.example", 1, { status: "issued", leaf: LEAF }, NOW);
    const spec = makeSpec(["a.example", "b.example"]);
    expect(await accept(spec)).toMatchObject({ action: "reorder", generation: 2 });
    expect(await store.get("a.example")).toMatchObject({ spec, status: "queued", leaf: LEAF });
    expect(await accept(makeSpec(["a.example", "b.example"]))).toMatchObject({ action: "unchanged" });
  });

  it("does not take the names in another order for other names", async () => {
    await accept(makeSpec(["a.example", "b.example", "c.example"]));
    const turned = await accept(makeSpec(["a.example", "c.example", "b.example"]));
    expect(turned).toMatchObject({ action: "updated", generation: 1 });
  });

  it("orders anew what has been issued when it is forced to", async () => {
    await given("issued");
    expect(await accept(makeSpec("a.example"), { force: true })).toMatchObject({
      action: "retry",
      generation: 2,
    });
  });

  it("takes what was removed as new, and never uses a generation twice", async () => {
    await given("removed");
    expect(await accept(makeSpec("a.example"))).toMatchObject({
      id: "a.example",
      action: "new",
      generation: 2,
    });
    expect(await statuses()).toEqual({ queued: ["a.example"] });
  });

  it("of the same row from many callers at once is one order", async () => {
    const accepted = await Promise.all(Array.from({ length: 20 }, () => accept(makeSpec("a.example"))));
    expect(accepted.filter((one) => one?.action === "new")).toHaveLength(1);
    expect(await store.count()).toBe(1);
  });

  it("takes a thousand rows in the order in which they came", async () => {
    const specs = Array.from({ length: 1_000 }, (_, i) => makeSpec(`name-${i}.example`));
    const accepted = await store.accept(specs, { now: NOW });
    expect(accepted.map(({ id }) => id)).toEqual(specs.map(({ names }) => names[0]));
    expect(await store.count("queued")).toBe(1_000);
  });
});

describe("a transition", () => {
  it("moves the certificate on, clears what it does not name, and keeps attempts and leaf", async () => {
    await given("waiting", "retry");
    await store.transition("a.example", 1, { status: "ordering", leaf: LEAF }, NOW);
    await store.transition("a.example", 1, { status: "validating" }, NOW);
    const record = await store.get("a.example");
    expect(record).toMatchObject({ status: "validating", attempts: 2, leaf: LEAF });
    for (const field of ["reason", "detail", "until", "error"]) expect(record).not.toHaveProperty(field);
    expect(await statuses()).toEqual({ validating: ["a.example"] });
  });

  it("of a generation that was overtaken changes nothing", async () => {
    await given("ordering");
    await accept(makeSpec(["a.example", "b.example"]));
    const before = await store.get("a.example");
    for (const generation of [0, 1, 3]) {
      const change = { status: "attention", event: { what: "failed" } } as const;
      const result = await store.transition("a.example", generation, change, NOW);
      expect(result).toEqual({ ok: false, awaited: false, ended: [] });
    }
    expect(await store.get("a.example")).toEqual(before);
    expect(await store.events("a.example")).toEqual([]);
    expect(await statuses()).toEqual({ queued: ["a.example"] });
  });

  it("of a certificate that is not there changes nothing", async () => {
    expect(await store.transition("none.example", 1, { status: "issued" }, NOW)).toMatchObject({ ok: false });
    expect(await redis.dbsize()).toBe(0);
  });

  it("tells its events, the oldest first, a hundred at most", async () => {
    await given("ordering");
    for (let i = 0; i < 120; i++) {
      const event = { what: "waiting", detail: `${i}` };
      await store.transition("a.example", 1, { status: "ordering", event }, NOW + i * 1_000);
    }
    const events = await store.events("a.example");
    expect(events).toHaveLength(100);
    expect(events[0]).toEqual({
      at: "2026-08-28T14:00:20Z",
      what: "waiting",
      detail: "20",
      status: "ordering",
    });
    expect(events.at(-1)?.detail).toBe("119");
  });
});

describe("the order of a generation", () => {
  it("is one, whoever of several claims it first", async () => {
    await accept(makeSpec("a.example"));
    const urls = Array.from({ length: 20 }, (_, i) => `https://ca/order/${i}`);
    const standing = await Promise.all(urls.map((url) => store.claimOrder("a.example", 1, url)));
    expect(new Set(standing).size).toBe(1);
    expect(urls).toContain(standing[0]);
    expect((await store.get("a.example"))?.orderUrl).toBe(standing[0]);
  });

  it("cannot be claimed for one that was overtaken", async () => {
    await accept(makeSpec("a.example"));
    await accept(makeSpec(["a.example", "b.example"]));
    expect(await store.claimOrder("a.example", 1, "https://ca/order/1")).toBeUndefined();
    expect(await store.claimOrder("none.example", 1, "https://ca/order/1")).toBeUndefined();
    expect((await store.get("a.example"))?.orderUrl).toBeUndefined();
  });

  it("is dropped by whoever knows it, and by nobody else", async () => {
    await accept(makeSpec("a.example"));
    await store.claimOrder("a.example", 1, "https://ca/order/1");
    await store.dropOrder("a.example", 1, "https://ca/order/2");
    await store.dropOrder("a.example", 2, "https://ca/order/1");
    expect((await store.get("a.example"))?.orderUrl).toBe("https://ca/order/1");
    await store.dropOrder("a.example", 1, "https://ca/order/1");
    expect((await store.get("a.example"))?.orderUrl).toBeUndefined();
  });

  it("ends with the generation, of which the next one begins once", async () => {
    await accept(makeSpec("a.example"));
    await store.claimOrder("a.example", 1, "https://ca/order/1");
    const next = await Promise.all(
      [1, 1, 1].map((generation) => store.nextGeneration("a.example", generation)),
    );
    expect(next.filter((generation) => generation !== undefined)).toEqual([2]);
    const record = await store.get("a.example");
    expect(record).toMatchObject({ generation: 2 });
    expect(record?.orderUrl).toBeUndefined();
    expect(await store.nextGeneration("none.example", 1)).toBeUndefined();
    expect(await store.count()).toBe(1);
  });
});

it("puts back whole records as they stood", async () => {
  const error = { code: "dns", type: "urn:ietf:params:acme:error:dns", detail: "no such host" };
  const base = { attempts: 3, generation: 7, acceptedAt: NOW, spec: makeSpec("a.example", { mail: MAIL }) };
  const records = [
    { ...base, id: "a.example", status: "issued", leaf: LEAF, importId: "one", orderUrl: "https://ca/o/1" },
    {
      ...base,
      id: "b.example",
      spec: makeSpec("b.example"),
      status: "waiting",
      reason: "retry",
      detail: "no such host",
      until: NOW + 60_000,
      error,
    },
  ] as const;
  for (let i = 0; i < 2; i++) {
    await store.restore(records);
    expect(await store.getMany(["a.example", "b.example", "c.example"])).toEqual([...records, undefined]);
    expect(await statuses()).toEqual({ issued: ["a.example"], waiting: ["b.example"] });
  }
  expect(await accept(base.spec)).toMatchObject({ action: "unchanged", generation: 7 });
});
