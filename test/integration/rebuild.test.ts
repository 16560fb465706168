/** A ledger that was lost, put together again from the certificates that are there. */
import { describe, expect, it } from "vitest";
import { namesKey } from "../../src/core/certificate.ts";
import { LedgerRebuild } from "../../src/limits/rebuild.ts";
import type { CaLimits } from "../../src/limits/table.ts";
import { LedgerView } from "../../src/limits/view.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { BoulderLimits } from "../support/boulder-limits.ts";
import { makeLimits } from "../support/limits.ts";
import { randomFrom } from "../support/random.ts";
import { makeSpec } from "../support/specs.ts";
import { withRedis } from "../support/with-redis.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 25);
const LIMITS: CaLimits = makeLimits({
  certificates: {
    newOrders: { count: 301, period: 301 * 36_000 },
    certificatesPerDomain: { count: 50, period: 7 * DAY },
    certificatesPerNameSet: { count: 5, period: 7 * DAY },
  },
  renewalsExempt: true,
});

let redis: Redis;
let view: LedgerView;

withRedis((client) => {
  redis = client;
  view = new LedgerView(redis, "letsencrypt");
});

interface Had {
  names: string[];
  at?: number;
  ca?: string;
  exempt?: boolean;
}

function recordOf({ names, at, ca = "letsencrypt", exempt = false }: Had) {
  const issued = at === undefined ? {} : { issuedAt: at };
  const dates = { notBefore: 0, notAfter: 0, issuer: "E7", serial: "01", renewAt: 0 };
  const leaf = { ...dates, ca, set: namesKey(names), ...issued, ...(exempt ? { exempt } : {}) };
  return { spec: makeSpec(names), leaf };
}

async function rebuild(had: readonly Had[]): Promise<void> {
  const rebuilt = new LedgerRebuild(redis, new Map([["letsencrypt", LIMITS]]), NOW);
  for (const each of had) rebuilt.add(recordOf(each));
  await rebuilt.write();
}

describe("a ledger that is rebuilt", () => {
  it("has spent one token of each bucket for each certificate, when it was obtained", async () => {
    const names = ["a.example", "b.example"];
    await rebuild([{ names, at: NOW - 10_000 }]);
    expect((await view.state("newOrders", "")).tat).toBe(NOW + 26_000);
    for (const domain of names)
      expect((await view.state("certificatesPerDomain", domain)).tat).toBe(NOW - 10_000 + 12_096_000);
    expect((await view.state("certificatesPerNameSet", namesKey(names))).tat).toBe(
      NOW - 10_000 + 120_960_000,
    );
  });

  it("has spent of a renewal what it took: the set's token alone", async () => {
    await rebuild([{ names: ["a.example"], at: NOW, exempt: true }]);
    const seen: string[] = [];
    for await (const { limit } of view.all()) seen.push(limit);
    expect(seen).toEqual(["certificatesPerNameSet"]);
  });

  it("stands as Boulder's buckets do after the same certificates, whatever their order", async () => {
    const random = randomFrom(7);
    const limits = { failedAuthorizations: null, consecutiveFailures: null };
    const boulder = new BoulderLimits({ limits });
    const had: Had[] = [];
    let at = NOW - 60 * DAY;
    for (let i = 0; at < NOW; at += random.below(2 * HOUR)) {
      const names = [`n${i}.${random.of(["a.example", "b.example", "c.example"])}`];
      // As far as Boulder lets it go.
      if (!boulder.newOrder({ account: "1", names }, at).allowed) continue;
      boulder.issued(names, at);
      had.splice(random.below(had.length + 1), 0, { names, at });
      i++;
    }
    expect(had.length).toBeGreaterThan(500);
    await rebuild(had);
    for (const domain of ["a.example", "b.example", "c.example"]) {
      const { tat } = await view.state("certificatesPerDomain", domain);
      const room = boulder.buckets("certificatesPerDomain")?.room(domain, NOW);
      expect(50 * 12_096_000 - Math.max(0, tat - NOW), domain).toBe(room);
    }
  });

  it("believes in no token that a steady stream has spent, however long that has gone on", async () => {
    const burst = Array.from({ length: 50 }, (_, i) => ({ names: [`b${i}.a.example`], at: NOW - 40 * DAY }));
    const stream = Array.from({ length: 285 }, (_, i) => ({
      names: [`s${i}.a.example`],
      at: NOW - 40 * DAY + (i + 1) * 12_096_000,
    }));
    await rebuild([...burst, ...stream]);
    const { tat } = await view.state("certificatesPerDomain", "a.example");
    expect(tat - NOW).toBeGreaterThan(49 * 12_096_000);
  });

  it("leaves alone a bucket that is there already, as it knows better", async () => {
    const key = keys.bucket("newOrders", "letsencrypt", "");
    await redis.set(key, "4000000000000");
    await rebuild([{ names: ["a.example"], at: NOW }]);
    expect(await redis.get(key)).toBe("4000000000000");
  });

  it("knows nothing of certificates of other CAs, without a date, or so old that the buckets are full again", async () => {
    await rebuild([
      { names: ["a.example"], at: NOW, ca: "elsewhere" },
      { names: ["b.example"] },
      { names: ["c.example"], at: NOW - 8 * DAY },
    ]);
    expect(await redis.dbsize()).toBe(0);
  });

  it("is nothing where no certificate is", async () => {
    await rebuild([]);
    expect(await redis.dbsize()).toBe(0);
  });

  it("has keys that end when the buckets are full", async () => {
    await rebuild([{ names: ["a.example"], at: NOW - 10_000 }]);
    const left = await redis.pttl(keys.bucket("newOrders", "letsencrypt", ""));
    expect(left).toBeLessThanOrEqual(26_000);
    expect(left).toBeGreaterThan(10_000);
  });

  it("of many thousands is written in one go", async () => {
    await rebuild(Array.from({ length: 5_000 }, (_, i) => ({ names: [`n${i}.d${i}.example`], at: NOW - i })));
    const domains: string[] = [];
    for await (const { limit, subject } of view.all())
      if (limit === "certificatesPerDomain") domains.push(subject);
    expect(domains).toHaveLength(5_000);
  });
});
