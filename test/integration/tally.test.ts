/** What the metrics count of the work: once each, whoever comes back to it; and what dashboard and alerts ask for is there. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { parse } from "yaml";
import type { IssuedLeaf } from "../../src/core/certificate.ts";
import { AppError, storedError } from "../../src/core/errors.ts";
import { Ledger } from "../../src/limits/ledger.ts";
import { keys } from "../../src/store/keys.ts";
import { readTallies, Tally } from "../../src/store/tally.ts";
import { startTestApi, type TestApi } from "../support/api.ts";
import { makeLimits } from "../support/limits.ts";
import { makeSpec } from "../support/specs.ts";
import { waitUntil } from "../support/temp.ts";
import { withRedis } from "../support/with-redis.ts";

const CA = "letsencrypt-staging";
let api: TestApi;
let url: string;

withRedis((_, server) => {
  url = server.url;
});

beforeEach(async () => {
  api = await startTestApi(url);
});

afterEach(async () => await api.stop());

async function scraped(): Promise<string[]> {
  return (await (await api.ask("/metrics")).text()).split("\n");
}

const failed = (code: string) => {
  const error = storedError(new AppError("It does not work.", { code, disposition: "retry" }));
  return { status: "waiting", reason: "retry", error, event: { what: "failed" } } as const;
};

const leaf = (serial: string): IssuedLeaf => ({
  notBefore: 1,
  notAfter: 2_000_000,
  issuer: "CN=Test",
  serial,
  renewAt: 1_000_000,
  generation: 1,
});

it("an order, its failure and its certificate are counted once, by the account that they were with", async () => {
  const { certificates: store } = api.house;
  await store.accept([makeSpec("a.example"), makeSpec("b.example", { ca: "other" })], { now: 1 });
  for (const order of ["1", "1", "2"]) await store.claimOrder("a.example", 1, `https://ca/order/${order}`);
  await store.claimOrder("a.example", 7, "https://ca/order/3");
  await store.claimOrder("b.example", 1, "https://ca/order/4");
  await store.transition("a.example", 1, { status: "validating" }, 1);
  await store.transition("a.example", 1, failed("connection"), 1);
  await store.transition("a.example", 9, failed("connection"), 1);
  await store.transition("b.example", 1, failed("made_up"), 1);
  const { event: _, ...again } = failed("connection");
  await store.transition("a.example", 1, again, 1);
  for (const serial of ["01", "01", "02"])
    await store.transition("a.example", 1, { status: "issued", leaf: leaf(serial) }, 1);
  const lines = await scraped();
  for (const line of [
    `certherd_orders_total{account="${CA}"} 1`,
    'certherd_orders_total{account="other"} 1',
    `certherd_issued_total{account="${CA}"} 2`,
    `certherd_certificate_failures_total{account="${CA}",stage="validating",code="connection"} 1`,
    'certherd_certificate_failures_total{account="other",stage="queued",code="other"} 1',
    'certherd_failures_total{kind="drift"} 0',
  ])
    expect(lines).toContain(line);
  expect(lines.filter((line) => line.startsWith("certherd_certificate_failures_total"))).toHaveLength(2);
});

it("validations are counted where the CA was asked for them, once for each order and name", async () => {
  const certificates = { failedAuthorizations: { count: 5, period: 3_600_000 } };
  const ledger = new Ledger(api.house.redis, CA, makeLimits({ certificates }));
  expect(await scraped()).toContain(`certherd_validations_total{account="${CA}",result="valid"} 0`);
  await ledger.holdValidations("a#1", ["a.example", "*.a.example", "b.example"]);
  for (let time = 0; time < 2; time++) {
    await ledger.validationsFailed("a#1", ["b.example"]);
    await ledger.validationsPassed("a#1", ["a.example", "*.a.example", "authorized-before.example"]);
  }
  const lines = await scraped();
  expect(lines).toContain(`certherd_validations_total{account="${CA}",result="valid"} 1`);
  expect(lines).toContain(`certherd_validations_total{account="${CA}",result="invalid"} 1`);
});

it("counts of several processes add up, by themselves and at their end", async () => {
  const { redis } = api.house;
  const [one, two] = [new Tally(redis), new Tally(redis)];
  for (const tally of [one, two]) tally.add("requests", CA, "acme", "2xx");
  one.add("requests", CA, "acme", "2xx");
  two.add("limited", "a|b", "newOrders");
  await two.close();
  await waitUntil(async () => (await redis.hget(keys.tally, `requests|${CA}|acme|2xx`)) === "3");
  one.add("polls", CA, "info");
  await one.close();
  expect(Object.fromEntries(await readTallies(redis))).toEqual({
    requests: [{ labels: [CA, "acme", "2xx"], count: 3 }],
    limited: [{ labels: ["a_b", "newOrders"], count: 1 }],
    polls: [{ labels: [CA, "info"], count: 1 }],
  });
  expect(await scraped()).toContain(`certherd_ca_requests_total{account="${CA}",kind="acme",code="2xx"} 3`);
});

it("the oldest order in flight has its age", async () => {
  const { producer, redis } = api.house;
  expect(await scraped()).toContain(`certherd_order_oldest_age_seconds{account="${CA}"} 0`);
  const queue = producer.queue(`order-${CA}`);
  for (const age of [30, 90])
    await queue.add("order", {}, { timestamp: Date.now() - age * 1_000, delay: 3_600_000 });
  const line = (await scraped()).find((each) => each.startsWith("certherd_order_oldest_age_seconds{")) ?? "";
  expect(Number(line.split(" ")[1])).toBeGreaterThanOrEqual(90);
  expect(Number(line.split(" ")[1])).toBeLessThan(3_600);
  expect(await redis.exists(keys.tally)).toBe(0);
});

it("the dashboard, the rules and the document name metrics that there are, and the document all of them", async () => {
  const read = (name: string): string =>
    readFileSync(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), "utf8");
  const namesIn = (text: string): string[] => [
    ...new Set(
      [...text.matchAll(/\bcertherd_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, "")),
    ),
  ];
  const lines = await scraped();
  const there = lines.flatMap((line) => /^# TYPE (certherd_\w+)/.exec(line)?.[1] ?? []);
  const helped = lines.flatMap((line) => /^# HELP (certherd_\w+) \S/.exec(line)?.[1] ?? []);
  expect(helped).toEqual(there);
  const rules = parse(read("monitoring/alerts.yml")) as { groups: { rules: { expr: string }[] }[] };
  const asked = rules.groups.flatMap(({ rules: each }) => each.map(({ expr }) => expr)).join("\n");
  for (const text of [asked, read("monitoring/grafana.json")])
    expect(namesIn(text).filter((name) => !there.includes(name))).toEqual([]);
  expect(namesIn(read("monitoring.md")).sort()).toEqual([...there].sort());
});
