import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import type { CertificateRecord, Status } from "../../src/core/certificate.ts";
import { renewDue } from "../../src/renewal/due.ts";
import { CertificateStore } from "../../src/store/certificates.ts";
import { openRedis, type Redis } from "../../src/store/redis.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2027, 0, 1);

function record(name: string, status: Status, renewAt: number): CertificateRecord {
  return {
    id: name,
    spec: {
      names: [name],
      vipPort: 443,
      acmePort: 8888,
      keyType: "ec256",
      challenge: "http-01",
      priority: 50,
    },
    status,
    attempts: 0,
    generation: 1,
    acceptedAt: NOW - 60 * DAY,
    leaf: { notBefore: NOW - 60 * DAY, notAfter: NOW + 30 * DAY, issuer: "CA", serial: "01", renewAt },
  };
}

describe("renewals that are due", () => {
  let server: RedisServer;
  let redis: Redis;
  let certificates: CertificateStore;
  let asked: string[];

  const look = async (now: number): Promise<number> =>
    await renewDue(
      {
        certificates,
        enqueue: async (records) => {
          asked.push(...records.map(({ id }) => id));
        },
      },
      now,
    );

  beforeAll(async () => {
    await ensureTools(["redis"]);
    server = await startRedis({});
    redis = openRedis(server.url, "test");
    certificates = new CertificateStore(redis);
  });

  beforeEach(async () => {
    asked = [];
    await redis.flushall();
  });

  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
  });

  it("are queued at their moment, and not before it", async () => {
    await certificates.restore([
      record("due.example", "issued", NOW),
      record("later.example", "issued", NOW + 1),
    ]);
    expect(await look(NOW - 1)).toBe(0);
    expect(await look(NOW)).toBe(1);
    expect(asked).toEqual(["due.example"]);
  });

  it("are queued once, though the new leaf takes a while", async () => {
    await certificates.restore([record("due.example", "issued", NOW - DAY)]);
    await look(NOW);
    await look(NOW + 10_000);
    expect(asked).toEqual(["due.example"]);
  });

  it("leave alone what has failed, is on its way, or was paused", async () => {
    const statuses: Status[] = ["attention", "waiting", "validating", "paused"];
    await certificates.restore(statuses.map((status) => record(`${status}.example`, status, NOW - DAY)));
    expect(await look(NOW)).toBe(0);
    expect(asked).toEqual([]);
  });

  it("are found again after a day, should nothing have come of them", async () => {
    await certificates.restore([record("due.example", "issued", NOW - DAY)]);
    await look(NOW);
    await look(NOW + DAY);
    expect(asked).toEqual(["due.example", "due.example"]);
  });

  it("move with the new leaf", async () => {
    await certificates.restore([record("due.example", "issued", NOW - DAY)]);
    await look(NOW);
    const { leaf } = record("due.example", "issued", NOW + 60 * DAY);
    await certificates.transition("due.example", 1, { status: "issued", ...(leaf ? { leaf } : {}) }, NOW);
    await look(NOW + 2 * DAY);
    expect(asked).toEqual(["due.example"]);
    expect(await look(NOW + 60 * DAY)).toBe(1);
  });
});
