/** Who waits for a certificate to settle, and walks over all of them, in a real Redis. */
import { beforeEach, describe, expect, it } from "vitest";
import type { CertificateSpec, Status } from "../../src/core/certificate.ts";
import { CertificateStore } from "../../src/store/certificates.ts";
import { ImportStore, NO_COUNTS } from "../../src/store/imports.ts";
import type { Redis } from "../../src/store/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { withRedis } from "../support/with-redis.ts";

const NOW = Date.UTC(2026, 7, 28, 14, 0, 0);

let redis: Redis;
let store: CertificateStore;
let imports: ImportStore;

withRedis((client) => {
  redis = client;
  store = new CertificateStore(redis);
  imports = new ImportStore(redis);
});

async function accept(spec: CertificateSpec, options: { importId?: string } = {}) {
  const [accepted] = await store.accept([spec], { ...options, now: NOW });
  return accepted;
}

describe("the imports that wait for a certificate", () => {
  const settle = (status: Status, generation = 1) =>
    store.transition("a.example", generation, { status }, NOW);

  beforeEach(async () => {
    for (const id of ["one", "two"]) {
      await imports.create(id, `${id}.csv`, "digest", NOW);
      await accept(makeSpec("a.example"), { importId: id });
    }
  });

  it("are told once each when it settles, and end when it was their last one", async () => {
    await accept(makeSpec("b.example"), { importId: "two" });
    expect(await imports.finishReading("one", NO_COUNTS)).toBe(false);
    expect(await imports.finishReading("two", NO_COUNTS)).toBe(false);
    expect(await settle("validating")).toEqual({ ok: true, awaited: false, ended: [] });
    expect(await settle("issued")).toEqual({ ok: true, awaited: true, ended: ["one"] });
    expect(await settle("issued")).toEqual({ ok: true, awaited: false, ended: [] });
    expect(await imports.get("one")).toMatchObject({ open: 0, ended: true, settled: { issued: 1 } });
    expect(await imports.get("two")).toMatchObject({ open: 1, ended: false, settled: { issued: 1 } });
    const last = await store.transition("b.example", 1, { status: "attention", reason: "person" }, NOW);
    expect(last).toEqual({ ok: true, awaited: true, ended: ["two"] });
  });

  it("do not end before they are read to their end, and then end once", async () => {
    expect((await settle("issued")).ended).toEqual([]);
    expect(await imports.finishReading("one", NO_COUNTS)).toBe(true);
    expect(await imports.finishReading("one", NO_COUNTS)).toBe(false);
  });

  it("wait for the newer order where one has overtaken it", async () => {
    await imports.finishReading("one", NO_COUNTS);
    await accept(makeSpec(["a.example", "b.example"]), { importId: "two" });
    expect(await settle("issued", 1)).toMatchObject({ ok: false });
    expect((await imports.get("one"))?.open).toBe(1);
    expect(await settle("issued", 2)).toEqual({ ok: true, awaited: true, ended: ["one"] });
  });

  it("do not wait for what is issued already, nor twice for one", async () => {
    await accept(makeSpec("a.example"), { importId: "one" });
    await settle("issued");
    await imports.create("three", "three.csv", "digest", NOW);
    await accept(makeSpec("a.example"), { importId: "three" });
    expect((await imports.get("three"))?.open).toBe(0);
    expect((await imports.get("one"))?.settled).toEqual({ issued: 1 });
  });

  it("wait again for what is tried again", async () => {
    await settle("attention");
    await imports.create("three", "three.csv", "digest", NOW);
    expect(await accept(makeSpec("a.example"), { importId: "three" })).toMatchObject({ action: "retry" });
    expect(await imports.get("three")).toMatchObject({ open: 1 });
    expect(await store.get("a.example")).toMatchObject({ importId: "three" });
  });

  it("are awaited while they are deployed, and settle at `serving`", async () => {
    await imports.finishReading("one", NO_COUNTS);
    const to = (status: Status) => store.transition("a.example", 1, { status }, NOW);
    expect(await to("deploying")).toMatchObject({ awaited: false, ended: [] });
    expect(await to("serving")).toMatchObject({ awaited: true, ended: ["one"] });
  });
});

describe("a certificate whose deployment has failed", () => {
  const leaf = { notBefore: NOW, notAfter: NOW + 1, issuer: "CA", serial: "0A", renewAt: NOW, generation: 1 };
  const refused = { ok: false, refused: "0A", at: NOW, vipPort: 443 };

  beforeEach(async () => {
    await accept(makeSpec("d.example"));
    await store.transition("d.example", 1, { status: "deploying", leaf }, NOW);
    await store.noteNodes([{ id: "d.example", node: "lb1", state: refused }], NOW);
    await store.transition("d.example", 1, { status: "attention", reason: "node" }, NOW);
  });

  it("is deployed again, and never ordered again, when it is asked for again", async () => {
    expect(await accept(makeSpec("d.example"))).toMatchObject({ action: "deploy", generation: 1 });
    const record = await store.get("d.example");
    expect(record).toMatchObject({ status: "deploying", generation: 1, leaf });
    // What was refused is tried again.
    expect(record?.nodes).toEqual({ lb1: { ok: false, at: NOW, vipPort: 443 } });
    expect(await store.page({ status: "attention", limit: 5 })).toEqual([]);
  });

  it("is ordered again for other names, and where it is forced", async () => {
    expect(await accept(makeSpec(["d.example", "e.example"]))).toMatchObject({
      action: "reorder",
      generation: 2,
    });
    const forced = await store.accept([makeSpec(["d.example", "e.example"])], { now: NOW, force: true });
    expect(forced).toMatchObject([{ action: "retry", generation: 3 }]);
  });

  it("is not moved back by work on its order that comes too late", async () => {
    const late = await store.transition("d.example", 1, { status: "ordering" }, NOW);
    expect(late.ok).toBe(false);
    expect(await store.get("d.example")).toMatchObject({ status: "attention" });
  });
});

describe("a walk over all certificates", () => {
  const names = Array.from({ length: 1_234 }, (_, i) => `name-${String(i).padStart(4, "0")}.example`);

  beforeEach(async () => {
    await store.accept(
      [...names].reverse().map((name) => makeSpec(name)),
      { now: NOW },
    );
  });

  it("gives them in alphabetical order, a page after the other", async () => {
    const first = await store.page({ limit: 3 });
    expect(first.map(({ id }) => id)).toEqual(names.slice(0, 3));
    const second = await store.page({ limit: 3, cursor: names[2] ?? "" });
    expect(second.map(({ id }) => id)).toEqual(names.slice(3, 6));
    expect(await store.page({ limit: 3, cursor: names.at(-1) ?? "" })).toEqual([]);
  });

  it("misses and repeats none while rows change their status and others come", async () => {
    const seen: string[] = [];
    for await (const { id, generation } of store.all()) {
      seen.push(id);
      if (seen.length % 7 === 0) await store.transition(id, generation, { status: "issued" }, NOW);
      if (seen.length === 600)
        await store.accept([makeSpec("aaa.example"), makeSpec("zzz.example")], { now: NOW });
    }
    expect(seen).toEqual([...names, "zzz.example"]);
  });

  it("of one status goes on behind those that leave it", async () => {
    const seen: string[] = [];
    for await (const { id, generation } of store.all("queued")) {
      seen.push(id);
      await store.transition(id, generation, { status: "issued" }, NOW);
    }
    expect(seen).toEqual(names);
    expect(await store.count("queued")).toBe(0);
    expect(await store.count("issued")).toBe(names.length);
  });

  it("is not stopped by names whose record is gone", async () => {
    await redis.del(...names.slice(100, 1_200).map((name) => `{certherd}:cert:${name}`));
    const seen: string[] = [];
    for await (const { id } of store.all()) seen.push(id);
    expect(seen).toEqual([...names.slice(0, 100), ...names.slice(1_200)]);
  });
});
