/** The set of certificates by their end follows what happens to them. */
import { expect, it } from "vitest";
import type { IssuedLeaf } from "../../src/core/certificate.ts";
import { CertificateStore } from "../../src/store/certificates.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { withRedis } from "../support/with-redis.ts";

const NAME = "a.example";
let redis: Redis;

withRedis((client) => {
  redis = client;
});

const leaf = (serial: string, notAfter: number): IssuedLeaf => ({
  notBefore: 1,
  notAfter,
  issuer: "CN=Test",
  serial,
  renewAt: notAfter - 10,
  generation: 1,
});

it("has the newest leaf's end, after a restoration too, until the certificate is forgotten", async () => {
  const store = new CertificateStore(redis);
  await store.accept([makeSpec(NAME)], { now: 1 });
  expect(await redis.zcard(keys.expiries)).toBe(0);
  await store.transition(NAME, 1, { status: "issued", leaf: leaf("01", 1_000_000) }, 2);
  expect(await redis.zscore(keys.expiries, NAME)).toBe("1000000");
  await store.transition(NAME, 1, { status: "issued", leaf: leaf("02", 2_000_000) }, 3);
  expect(await redis.zscore(keys.expiries, NAME)).toBe("2000000");
  const record = await store.get(NAME);
  if (!record) throw new Error("it is gone");
  await redis.flushall();
  await store.restore([record]);
  expect(await redis.zscore(keys.expiries, NAME)).toBe("2000000");
  await store.transition(NAME, 1, { status: "removed" }, 4);
  await store.forget(NAME, 1);
  expect(await redis.zcard(keys.expiries)).toBe(0);
});
