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

  it("settle at `serving` alone where certificates are deployed", async () => {
    await imports.finishReading("one", NO_COUNTS);
    const deploying = new CertificateStore(redis, { deploys: true });
    const to = (status: Status) => deploying.transition("a.example", 1, { status }, NOW);
    expect(await to("issued")).toMatchObject({ awaited: false, ended: [] });
    expect(await to("deploying")).toMatchObject({ awaited: false, ended: [] });
    expect(await to("serving")).toMatchObject({ awaited: true, ended: ["one"] });
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
