/** A look at an account's ledger, for a person's question. */
import { beforeEach, describe, expect, it } from "vitest";
import { namesKey } from "../../src/core/certificate.ts";
import { Ledger } from "../../src/limits/ledger.ts";
import { LedgerView, type SeenBucket } from "../../src/limits/view.ts";
import { CertificateStore } from "../../src/store/certificates.ts";
import type { Redis } from "../../src/store/redis.ts";
import { makeLimits } from "../support/limits.ts";
import { makeSpec } from "../support/specs.ts";
import { withRedis } from "../support/with-redis.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 25);
const LIMITS = makeLimits({
  certificates: {
    newOrders: { count: 300, period: 300 * 36_000 },
    certificatesPerDomain: { count: 2, period: 2 * DAY },
    failedAuthorizations: { count: 5, period: HOUR },
  },
});

let redis: Redis;
let ledger: Ledger;
let view: LedgerView;

withRedis((client) => {
  redis = client;
});

beforeEach(async () => {
  ledger = new Ledger(redis, "inhouse", LIMITS, () => NOW);
  view = new LedgerView(redis, "inhouse");
});

async function admit(id: string, by = ledger): Promise<void> {
  await new CertificateStore(redis).accept([makeSpec(id)], { now: NOW });
  const asked = { id, generation: 1, names: [id], priority: 50, holder: `${id}#1` } as const;
  await by.admit({ ...asked, exemption: "none" });
}

async function all(): Promise<SeenBucket[]> {
  const seen: SeenBucket[] = [];
  for await (const bucket of view.all()) seen.push(bucket);
  return seen.sort((a, b) => `${a.limit}${a.subject}`.localeCompare(`${b.limit}${b.subject}`));
}

describe("the view of a ledger", () => {
  it("shows what is spent, held, and waited for of each bucket, and each of them once", async () => {
    for (const i of [0, 1, 2, 3]) await admit(`n${i}.a.example`);
    await ledger.ordered("n0.a.example#1");
    await ledger.issued("n0.a.example#1");
    expect((await all()).filter(({ limit }) => limit !== "certificatesPerNameSet")).toEqual([
      { limit: "certificatesPerDomain", subject: "a.example", tat: NOW + DAY, holds: 1, waiting: 2 },
      { limit: "newOrders", subject: "", tat: NOW + 36_000, holds: 1, waiting: 0 },
    ]);
    expect(await view.state("certificatesPerDomain", "a.example")).toEqual({ tat: NOW + DAY, holds: 1 });
  });

  it("shows nothing of another account, though its name is a part of this one's", async () => {
    for (const account of ["house", "inhouse-2"])
      await admit("a.example", new Ledger(redis, account, LIMITS));
    expect(await all()).toEqual([]);
  });

  it("of a full bucket is empty", async () => {
    expect(await all()).toEqual([]);
    expect(await view.state("newOrders", "")).toEqual({ tat: 0, holds: 0 });
  });

  it("walks through thousands", async () => {
    const store = new CertificateStore(redis);
    const ids = Array.from({ length: 3_000 }, (_, i) => `n${i}.d${i}.example`);
    await store.accept(
      ids.map((id) => makeSpec(id)),
      { now: NOW },
    );
    const wide = new Ledger(redis, "inhouse", makeLimits(), () => NOW);
    await Promise.all(ids.slice(0, 900).map((id) => admit(id, wide)));
    const seen = await all();
    expect(new Set(seen.map(({ limit, subject }) => `${limit} ${subject}`)).size).toBe(seen.length);
    expect(seen.filter(({ limit }) => limit === "certificatesPerDomain")).toHaveLength(900);
    expect(seen).toContainEqual({
      limit: "certificatesPerNameSet",
      subject: namesKey(["n0.d0.example"]),
      tat: 0,
      holds: 1,
      waiting: 0,
    });
  });

  it("shows the names of which validations count, how many, and since when", async () => {
    await ledger.holdValidations("a#1", ["a.example"]);
    await ledger.validationsFailed("b#1", ["a.example", "b.example"]);
    await new Ledger(redis, "other", LIMITS).validationsFailed("c#1", ["c.example"]);
    const seen: { name: string; places: number; oldest: number }[] = [];
    for await (const failure of view.failures()) seen.push(failure);
    expect(seen.sort((a, b) => a.name.localeCompare(b.name))).toEqual([
      { name: "a.example", places: 2, oldest: NOW },
      { name: "b.example", places: 1, oldest: NOW },
    ]);
  });
});
