/** Renewals in numbers, on the real clock. */
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { openStage, type Stage, startCertherd, stopProcess } from "../../scripts/stage.ts";
import { byStatus, Installation, type ListedCertificate } from "../support/certherd.ts";
import { confusesPebble, replacements, suggest } from "../support/renewing.ts";
import { waitUntil } from "../support/temp.ts";

let stage: Stage;
let house: Installation;

afterEach(async () => {
  await house?.close();
  await stage?.close();
});

const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `r${n}.moo.com`);

async function importAll(all: readonly string[]): Promise<void> {
  const lines = all.map((name) => `${name},443,${stage.acmePort}`);
  expect((await house.run(["import", house.csv("names.csv", lines), "--wait"])).code).toBe(0);
}

it("500 certificates, each within the window that the CA suggests for it, and each with `replaces`", async () => {
  stage = await openStage({ gate: true });
  house = new Installation(stage);
  house.config("renewal: { look: 1s, poll: { least: 2s, most: 5s, every: 5s } }\n");
  const all = names(500);
  await importAll(all);
  const windows = new Map<string, { start: number; end: number }>();
  const begin = Date.now() + 45_000;
  for (const [n, name] of all.entries()) {
    const start = begin + 200 * n;
    windows.set(name, { start, end: start + 20_000 });
    await suggest(stage.pebble, house, name, { start, end: start + 20_000 });
  }
  let replaced = 0;
  const up = startCertherd(["up"], house.env, join(house.home, "up.log"));
  const counting = setInterval(() => {
    replaced = Math.max(replaced, replacements(stage.pebble));
  }, 200);
  try {
    const list = await house.list();
    for (const { name } of list.filter(confusesPebble)) windows.delete(name);
    const before = new Map(list.map(({ name, serial }) => [name, serial]));
    await waitUntil(
      async () =>
        (await house.list()).every(
          ({ name, serial, status }) => status === "issued" && serial !== before.get(name),
        ),
      { timeoutMs: 400_000, everyMs: 2_000, what: "the renewals" },
    );
  } finally {
    clearInterval(counting);
    await stopProcess(up);
  }
  let latest = Number.NEGATIVE_INFINITY;
  // Pebble's certificates begin when they are issued, to the second.
  for (const { name, notBefore } of await house.list()) {
    const { start = 0, end = Number.POSITIVE_INFINITY } = windows.get(name) ?? {};
    const at = Date.parse(notBefore ?? "");
    expect(at).toBeGreaterThanOrEqual(Math.floor(start / 1_000) * 1_000);
    expect(at).toBeLessThanOrEqual(end + 5_000);
    if (Number.isFinite(end)) latest = Math.max(latest, at - end);
  }
  console.log(`latest: ${latest} ms after the end of its window; replacements seen: ${replaced}`);
  // The log keeps its last 2,000 lines only.
  expect(replaced).toBeGreaterThan(0);
});

it("200 certificates of 120 seconds, through three lifetimes: none ends, and none is renewed before its time", async () => {
  const life = 120_000;
  stage = await openStage({ gate: true, validityPeriod: life / 1_000 });
  house = new Installation(stage);
  // The CA's windows are two days wide, whatever the lifetime.
  house.config("renewal: { ari: false, look: 500ms }\n");
  const up = startCertherd(["up"], house.env, join(house.home, "up.log"));
  const seen = new Map<string, ListedCertificate>();
  let [renewals, ended] = [0, 0];
  try {
    await importAll(names(200));
    const until = Date.now() + 3 * life;
    while (Date.now() < until) {
      const now = Date.now();
      for (const certificate of await house.list()) {
        const before = seen.get(certificate.name);
        if (Date.parse(certificate.notAfter ?? "") <= now) ended++;
        if (before && before.serial !== certificate.serial) {
          renewals++;
          // Half of the lifetime, and up to a thirtieth of it earlier; times are to the second.
          const age = Date.parse(certificate.notBefore ?? "") - Date.parse(before.notBefore ?? "");
          expect(age).toBeGreaterThanOrEqual(life / 2 - life / 30 - 1_500);
        }
        if (certificate.serial) seen.set(certificate.name, certificate);
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect(ended).toBe(0);
    expect(seen.size).toBe(200);
    // Each has been renewed about every minute.
    expect(renewals).toBeGreaterThanOrEqual(200 * 4);
    console.log(`${renewals} renewals`, byStatus(await house.list()));
  } finally {
    await stopProcess(up);
  }
});
