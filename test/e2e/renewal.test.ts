/** Renewals from outside: windows that the CA moves, the commands, and what a lost Redis leaves of the schedule. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStage, type Stage, startCertherd, stopProcess } from "../../scripts/stage.ts";
import { Installation } from "../support/certherd.ts";
import { long } from "../support/long.ts";
import { confusesPebble, issuedAt, replacements, type Shown, suggest } from "../support/renewing.ts";
import { waitUntil } from "../support/temp.ts";

const NAMES = Array.from({ length: 8 }, (_, n) => `r${n}.moo.com`);
const CONFIG = "renewal: { look: 300ms, poll: { least: 1s, most: 2s, every: 2s } }\n";

let stage: Stage;
let house: Installation;

beforeAll(async () => {
  stage = await openStage({ gate: true });
  house = new Installation(stage);
  house.config(CONFIG);
}, 120_000);

afterAll(async () => {
  await house?.close();
  await stage?.close();
});

async function importAll(): Promise<void> {
  const lines = NAMES.map(
    (name) => `${name},443,${stage.acmePort},certs@lb.example,ops@lb.example,127.0.0.1,${stage.smtp.port}`,
  );
  expect((await house.run(["import", house.csv("names.csv", lines), "--wait"])).code).toBe(0);
}

const show = (name: string): Promise<Shown> => house.json<Shown>("show", name);
const keyOf = (name: string): string =>
  readFileSync(join(house.home, `certificates/${name}/${name}.key`), "utf8");

it("each is renewed within the window that the CA suggests, and the CA is told what is replaced", async () => {
  await importAll();
  const up = startCertherd(["up"], house.env, join(house.home, "up.log"));
  try {
    const before = new Map((await house.list()).map((certificate) => [certificate.name, certificate]));
    // Not the one after the other: each has a window of its own.
    const begin = Date.now() + 6_000;
    const windows = new Map(
      NAMES.map((name, n) => [name, { start: begin + 500 * n, end: begin + 500 * n + 4_000 }]),
    );
    for (const [name, window] of windows) await suggest(stage.pebble, house, name, window);
    await waitUntil(
      async () =>
        (await house.list()).every(
          ({ name, serial, status }) => status === "issued" && serial !== before.get(name)?.serial,
        ),
      { timeoutMs: 60_000, everyMs: 500, what: "the renewals" },
    );
    const odd = [...before.values()].filter(confusesPebble);
    expect(replacements(stage.pebble)).toBeGreaterThanOrEqual(NAMES.length - odd.length);
    for (const { name } of odd) windows.delete(name);
    for (const [name, { start, end }] of windows) {
      const times = issuedAt(await show(name));
      expect(times).toHaveLength(2);
      // Events are to the second; the order itself takes a moment, and the look is every 300 ms.
      expect(times[1]).toBeGreaterThanOrEqual(Math.floor(start / 1_000) * 1_000);
      expect(times[1]).toBeLessThanOrEqual(end + 5_000);
    }
  } finally {
    await stopProcess(up);
  }
}, 120_000);

long(
  "a window in the past is noticed at the next look, and whoever asks is told why",
  async () => {
    const [name = ""] = NAMES;
    const before = await show(name);
    const up = startCertherd(["up"], house.env, join(house.home, "up.log"));
    try {
      const window = { start: Date.now() - 7_200_000, end: Date.now() - 3_600_000 };
      await suggest(stage.pebble, house, name, window, "https://ca.example/incident");
      const after = await waitUntil(
        async () => {
          const shown = await show(name);
          return shown.serial !== before.serial && shown.status === "issued" ? shown : undefined;
        },
        { timeoutMs: 30_000, everyMs: 300, what: "the renewal" },
      );
      expect(after?.events).toContainEqual(
        expect.objectContaining({
          what: "renewal planned",
          detail: expect.stringContaining("https://ca.example/incident"),
        }),
      );
    } finally {
      await stopProcess(up);
    }
  },
  60_000,
);

describe("by hand, without `up`", () => {
  it("renew NAME orders it anew, with a new key", async () => {
    const [, name = ""] = NAMES;
    const [before, key] = [await show(name), keyOf(name)];
    const { code, stdout } = await house.run(["renew", name, "--wait"]);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining("1 issued") });
    expect((await show(name)).serial).not.toBe(before.serial);
    expect(keyOf(name)).not.toBe(key);
  });

  it("renew --due asks the CA about all, and renews what is due, and only that", async () => {
    const [, , name = ""] = NAMES;
    expect((await house.run(["renew", "--due", "--wait"])).stdout).toContain("Nothing is due.");
    const before = await house.list();
    await suggest(stage.pebble, house, name, { start: Date.now() - 3_000_000, end: Date.now() - 1_000 });
    const result = await house.json<{ certificates: { name: string; status: string }[] }>(
      "renew",
      "--due",
      "--wait",
    );
    expect(result.certificates).toEqual([{ name, status: "issued" }]);
    const after = await house.list();
    const changed = after.filter(
      ({ name: each, serial }) => before.find((old) => old.name === each)?.serial !== serial,
    );
    expect(changed.map((certificate) => certificate.name)).toEqual([name]);
  });

  long("renew --all --force shows the plan, and asks", async () => {
    expect(await house.run(["renew", "--all"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--force"),
    });
    const asked = await house.run(["renew", "--all", "--force"]);
    expect(asked).toMatchObject({ code: 2, stderr: expect.stringContaining("add --yes") });
    expect(asked.stderr).toContain(`${NAMES.length} orders.`);
    const before = await house.list();
    expect((await house.run(["renew", "--all", "--force", "--yes", "--wait"])).code).toBe(0);
    const after = await house.list();
    for (const { name, serial } of before)
      expect(after.find((each) => each.name === name)?.serial).not.toBe(serial);
  });

  it("revoke tells the CA, and orders another one with another key, though keys are kept as a rule", async () => {
    house.config(`${CONFIG.replace("{ look", "{ reuseKey: true, look")}`);
    const [, , , name = ""] = NAMES;
    const [before, key] = [await show(name), keyOf(name)];
    expect((await house.run(["renew", name, "--wait"])).code).toBe(0);
    expect(keyOf(name)).toBe(key);
    const kept = await show(name);
    expect(kept.serial).not.toBe(before.serial);
    const { code, stdout } = await house.run(["revoke", name, "--reason", "keyCompromise", "--wait"]);
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`revoked ${kept.serial}`),
    });
    expect(keyOf(name)).not.toBe(key);
    expect((await show(name)).serial).not.toBe(kept.serial);
    expect((await show(name)).events.map(({ what }) => what)).toContain("revoked");
    const log = stage.pebble.log().join("\n");
    expect(log).toMatch(/[Rr]evok/);
  });
});

long(
  "a lost Redis loses nothing of it: list, schedule and limits are as before",
  async () => {
    const up = startCertherd(["up"], house.env, join(house.home, "up.log"));
    const window = { start: Date.now() + 3_600_000, end: Date.now() + 7_200_000 };
    for (const name of NAMES) await suggest(stage.pebble, house, name, window);
    await waitUntil(
      async () => (await house.list()).every(({ renewAt }) => Date.parse(renewAt ?? "") < window.end + 1_000),
      { timeoutMs: 30_000, everyMs: 300, what: "the plans" },
    );
    await stopProcess(up);
    const [list, limits] = [await house.list(), await house.json("limits")];
    await house.lose();
    expect(await house.list()).toEqual(list);
    expect(await house.json("limits")).toEqual(limits);
  },
  60_000,
);
