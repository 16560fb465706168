/** An import of which nothing moves but what waits for a limit: its digest goes today, the rest is told later. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { admitHandler } from "../../src/issuance/admit.ts";
import { limitsOf } from "../../src/limits/table.ts";
import { queueNames } from "../../src/queue/names.ts";
import { sendAtLimit } from "../../src/runtime/digests.ts";
import { NO_COUNTS } from "../../src/store/imports.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";

const HOUR = 3_600_000;
const IMPORT = "20261125T120000-0badcafe";
const CONTEXT = { signal: new AbortController().signal, priority: 50, save: async () => undefined };
const NAMES = ["a.example", "b.example", "c.example", "d.example"];

let redis: RedisServer;
let opened: TestHouse;
let house: TestHouse["house"];

beforeAll(async () => {
  redis = await startRedis();
}, 120_000);

afterAll(async () => {
  await redis.stop();
});

beforeEach(async () => {
  await redis.client().flushall();
  const limits = limitsOf("none", { certificates: { newOrders: { count: 3, period: 3 * HOUR } } });
  const cas = [{ name: "first", directory: "https://first.invalid/dir", limits, caaIdentities: [] }] as const;
  opened = await openTestHouse(redis.url, {}, { cas, mail: { from: "certs@lb.example", notify: "digest" } });
  house = opened.house;
  await house.imports.create(IMPORT, "demo.csv", "digest", Date.now());
  const mail = { to: "ops@lb.example", relay: "127.0.0.1", port: 25 };
  await house.enqueuer.enqueue(
    NAMES.map((name) => makeSpec(name, { mail })),
    { importId: IMPORT },
  );
  await house.enqueuer.finishReading(IMPORT, { ...NO_COUNTS, rows: 4, accepted: 4 });
  // Two of three: one stays in hand.
  for (const id of NAMES) await admitHandler(opened.deps())({ id, generation: 1 }, CONTEXT);
  for (const id of NAMES.slice(0, 2))
    await house.producer.queue(queueNames.admit("first")).remove(`a-${id}-1`);
});

afterEach(async () => {
  await opened.close();
});

async function move(id: string, status: "ordering" | "issued") {
  return await house.certificates.transition(id, 1, { status }, Date.now());
}

const mails = async () => await house.producer.queue(queueNames.notify).getJobCountByTypes("prioritized");

it("is not sent while an order is in flight", async () => {
  await move("a.example", "issued");
  await move("b.example", "ordering");
  await sendAtLimit(house);
  expect(await house.boxes.isTold(IMPORT)).toBe(false);
});

it("is sent once when the rest waits for hours, and later certificates are told by themselves", async () => {
  for (const id of ["a.example", "b.example"]) expect((await move(id, "issued")).awaited).toBe(true);
  await sendAtLimit(house);
  expect(await house.boxes.isTold(IMPORT)).toBe(true);
  expect(await mails()).toBe(1);
  await sendAtLimit(house);
  expect(await mails()).toBe(1);
  expect(await move("c.example", "issued")).toMatchObject({ ok: true, awaited: false });
  const last = await move("d.example", "issued");
  expect(last).toMatchObject({ awaited: false, ended: [IMPORT] });
});

it("is waited for when the rest is done in some minutes", async () => {
  for (const id of ["a.example", "b.example"]) await move(id, "issued");
  await sendAtLimit(house, 24 * HOUR);
  expect(await house.boxes.isTold(IMPORT)).toBe(false);
});
