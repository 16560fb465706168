/** The forecast as a user asks for it. No CA is asked: there is none. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { Installation } from "../support/certherd.ts";

let house: Installation;

beforeEach(() => {
  house = new Installation({ env: {} }, { CERTHERD_CA: "letsencrypt", CERTHERD_PREFLIGHT: "off" });
});

afterEach(async () => {
  await house.close();
});

interface Plan {
  orders: number;
  finishesAt: string | null;
  limits: { limit: string; key: string; waits: number; until: string }[];
  certificates: { name: string; at: string; limit?: string }[];
}

const names = (count: number, of: (n: number) => string) => Array.from({ length: count }, (_, n) => of(n));

it("1,000 names at Let's Encrypt: 299 at once, and then one every 36 seconds", async () => {
  const csv = house.csv(
    "domains.csv",
    names(1_000, (n) => `www.customer${n}.example`),
  );
  const before = Date.now();
  const plan = await house.json<Plan>("plan", csv);
  expect(plan.orders).toBe(1_000);
  const hours = (Date.parse(plan.finishesAt ?? "") - before) / 3_600_000;
  expect(hours).toBeGreaterThan((701 * 36) / 3_600);
  expect(hours).toBeLessThan((701 * 36) / 3_600 + 0.05);
  expect(plan.limits).toEqual([
    expect.objectContaining({ limit: "newOrders", key: "letsencrypt", waits: 701 }),
  ]);
  expect(plan.certificates).toHaveLength(1_000);
});

it("names under one registered domain wait for it, and what would help is said", async () => {
  const csv = house.csv("domains.csv", [
    ...names(80, (n) => `host${n}.busy.example`),
    "www.other.example",
    "bad_name.example",
  ]);
  const { code, stdout } = await house.run(["plan", csv]);
  expect(code).toBe(1);
  expect(stdout).toContain("82 rows: 81 new, 1 rejected. 81 orders.");
  expect(stdout).toMatch(/certificates per domain busy\.example +30 /);
  expect(stdout).toContain("Put the names of busy.example together as SANs, 80 names in 1 certificate");
  expect(await house.list()).toEqual([]);
});

it("what is queued already goes first, what is there already costs nothing", async () => {
  const first = house.csv(
    "first.csv",
    names(400, (n) => `www.first${n}.example`),
  );
  expect((await house.run(["import", first])).code).toBe(0);
  const second = house.csv("second.csv", [
    "www.first0.example",
    ...names(10, (n) => `www.second${n}.example`),
  ]);
  const plan = await house.json<Plan>("plan", second);
  expect(plan.orders).toBe(10);
  const wait = (Date.parse(plan.certificates[0]?.at ?? "") - Date.now()) / 1_000;
  // 101 of the first 400 wait as well.
  expect(wait).toBeGreaterThan(101 * 36);
  const urgent = await house.json<Plan>("plan", second, "--priority", "urgent");
  expect(Date.parse(urgent.certificates[0]?.at ?? "") - Date.now()).toBeLessThan(5_000);
  // What list says of them is the same arithmetic.
  const listed = (await house.list()) as unknown as { name: string; doneBy: string }[];
  expect(new Set(listed.map(({ doneBy }) => doneBy)).size).toBeGreaterThan(100);
});

it.each([
  ["missing.csv", 2],
  ["", 2],
])("a file that cannot be planned (%j) gets a sentence", async (file, exit) => {
  const { code, stderr } = await house.run(["plan", ...(file ? [`/nowhere/${file}`] : [])]);
  expect(code).toBe(exit);
  expect(stderr).not.toContain("    at ");
});
