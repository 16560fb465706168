import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openStage, startCertherd, stopProcess } from "../../scripts/stage.ts";
import { Installation } from "../support/certherd.ts";
import { waitUntil } from "../support/temp.ts";

it("a certificate of forty seconds is renewed before it ends, with a new key", async () => {
  const stage = await openStage({ gate: false, validityPeriod: 40 });
  const house = new Installation(stage);
  const up = startCertherd(["up"], house.env, join(house.home, "up.log"));
  const key = (): string =>
    readFileSync(join(house.home, "certificates/short.moo.com/short.moo.com.key"), "utf8");
  try {
    await house.run(["import", house.csv("short.csv", [`short.moo.com,443,${stage.acmePort}`]), "--wait"]);
    const [first] = await house.list();
    const firstKey = key();
    const renewed = await waitUntil(
      async () =>
        (await house.list()).find(({ serial, status }) => status === "issued" && serial !== first?.serial),
      { timeoutMs: 60_000, everyMs: 500, what: "the renewal" },
    );
    expect(Date.parse(renewed?.notAfter ?? "")).toBeGreaterThan(Date.parse(first?.notAfter ?? ""));
    expect(Date.now()).toBeLessThan(Date.parse(first?.notAfter ?? ""));
    expect(key()).not.toBe(firstKey);
  } finally {
    await stopProcess(up);
    await house.close();
    await stage.close();
  }
});
