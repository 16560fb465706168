/** The set of certificates by their end follows what happens to them. */
import { expect, it } from "vitest";
import { stageText } from "../../src/api/metrics/stages.ts";
import type { IssuedLeaf } from "../../src/core/certificate.ts";
import { CertificateStore } from "../../src/store/certificates.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { StageTimes } from "../../src/store/stage-times.ts";
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

it("stages are timed as certificates leave them", async () => {
  const store = new CertificateStore(redis);
  await store.accept([makeSpec(NAME)], { now: Date.now() - 20_000 });
  await store.transition(NAME, 1, { status: "ordering" }, 1);
  await store.transition(NAME, 1, { status: "ordering" }, 1);
  await store.transition(NAME, 1, { status: "attention" }, 1);
  const text = stageText(await new StageTimes(redis).all());
  const lines = text.split("\n");
  for (const line of [
    "# TYPE certherd_stage_seconds histogram",
    'certherd_stage_seconds_bucket{stage="queued",le="5"} 0',
    'certherd_stage_seconds_bucket{stage="queued",le="60"} 1',
    'certherd_stage_seconds_bucket{stage="queued",le="+Inf"} 1',
    'certherd_stage_seconds_count{stage="ordering"} 1',
    'certherd_stage_seconds_bucket{stage="ordering",le="1"} 1',
  ])
    expect(lines).toContain(line);
  expect(text).toMatch(/certherd_stage_seconds_sum\{stage="queued"\} 2\d\./);
  expect(text).not.toContain('stage="attention"');
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
