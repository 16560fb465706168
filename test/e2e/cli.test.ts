import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStage, type Stage } from "../../scripts/stage.ts";
import { Installation } from "../support/certherd.ts";
import { freePort } from "../support/temp.ts";

describe("the command line", () => {
  let stage: Stage;
  let house: Installation;

  beforeAll(async () => {
    stage = await openStage({ gate: false });
    house = new Installation(stage);
  });

  afterAll(async () => {
    await house?.close();
    await stage?.close();
  });

  it("lb-letsencrypt -i issues as the original did, and ends with its words", async () => {
    const args = [
      "-i",
      "-p",
      "443",
      "-h",
      String(stage.acmePort),
      "-d",
      "foo.moo.com",
      "-d",
      "www.foo.moo.com",
    ];
    const { code, stdout, stderr } = await house.run(args, "lb-letsencrypt");
    expect(stdout).toBe("Successfully issued and uploaded new cert foo.moo.com, finished\n");
    expect(stderr).toContain("Nothing that renews certificates runs here");
    expect(code).toBe(0);
    expect((await house.list()).map(({ names }) => names)).toContainEqual(["foo.moo.com", "www.foo.moo.com"]);
  });

  it("lb-letsencrypt -b takes a CSV", async () => {
    const csv = house.csv("bulk.csv", [`a.moo.com,443,${stage.acmePort}`, `b.moo.com,443,${stage.acmePort}`]);
    const { code, stdout } = await house.run(["-b", csv], "lb-letsencrypt");
    expect(stdout.trim().split("\n").sort()).toEqual([
      "Successfully issued and uploaded new cert a.moo.com, finished",
      "Successfully issued and uploaded new cert b.moo.com, finished",
    ]);
    expect(code).toBe(0);
    expect(house.audited().at(-1)).toBe(`import ${csv}`);
  });

  it.each([
    [["-i", "-b", "x.csv"], "-i and -b cannot be given together"],
    [["-i"], "-i needs at least one -d DOMAIN"],
    [["-z"], "-z"],
    [["-i", "-d", "not_a_name.moo.com"], "underscore"],
  ])("lb-letsencrypt %j is a usage error in one sentence", async (args, words) => {
    const { code, stderr, stdout } = await house.run(args, "lb-letsencrypt");
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(words);
    expect(stderr).not.toContain("    at ");
  });

  it("issue gets one certificate and says where it is", async () => {
    const { code, stdout } = await house.run([
      "issue",
      "-d",
      "solo.moo.com",
      "--acme-port",
      String(stage.acmePort),
    ]);
    expect(stdout).toContain(join(house.home, "certificates/solo.moo.com/fullchain.cer"));
    expect(code).toBe(0);
  });

  it("show tells the history", async () => {
    const { events, name, attempts } = await house.json<{
      name: string;
      attempts: number;
      events: { what: string }[];
    }>("show", "SOLO.moo.com.");
    expect(name).toBe("solo.moo.com");
    expect(attempts).toBe(0);
    expect(events.map(({ what }) => what)).toEqual(["ordering", "validating", "finalizing", "issued"]);
  });

  it("show of an unknown name is a usage error", async () => {
    const { code, stderr } = await house.run(["show", "nobody.moo.com"]);
    expect([code, stderr.split("\n").length]).toEqual([2, 2]);
  });

  it.each(["import", "issue", "list", "show", "retry", "doctor", "up"])(
    "%s --help carries examples",
    async (command) => {
      const { code, stdout } = await house.run([command, "--help"]);
      expect(code).toBe(0);
      expect(stdout).toContain("Examples:");
      expect(stdout).toContain("certherd ");
    },
  );

  it("--dry-run says what would be and leaves nothing behind", async () => {
    const csv = house.csv("dry.csv", ["dry.moo.com,443", "dry_.moo.com,443", "solo.moo.com,443"]);
    const dry = await house.json<{ accepted: number; unchanged: number; rejected: unknown[] }>(
      "import",
      csv,
      "--dry-run",
    );
    expect(dry).toMatchObject({ accepted: 1, unchanged: 1 });
    expect(dry.rejected).toHaveLength(1);
    expect((await house.list()).some(({ name }) => name === "dry.moo.com")).toBe(false);
  });

  it.each([
    ["missing", () => "/nowhere/x.csv", "There is no file"],
    ["a directory", () => house.home, "is a directory"],
    ["empty", () => house.csv("empty.csv", [""]), "holds no rows"],
    ["no CSV", () => house.csv("page.csv", ["<html>", "</html>"]), "page.csv"],
    ["UTF-16", () => utf16(house), "UTF-8"],
  ])("a file that is %s gets one clear sentence", async (_, path, words) => {
    const { code, stderr, stdout } = await house.run(["import", path()]);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toContain(words);
  });

  it("doctor finds nothing wrong but that nothing runs", async () => {
    const { checks } = await house.json<{ checks: { what: string; ok: boolean; detail: string }[] }>(
      "doctor",
    );
    expect(checks.filter(({ ok }) => !ok).map(({ what }) => what)).toEqual(["workers"]);
  });

  it("config check names what is wrong in the file", async () => {
    const broken = new Installation(stage);
    broken.config("retry: [soon]\n");
    const { code, stderr } = await broken.run(["config", "check"]);
    expect(code).toBe(2);
    expect(stderr).toContain('retry.0: "soon" is no duration');
  });

  it("a Redis out of reach is exit 3, with the cure", async () => {
    const lost = new Installation(stage, { REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
    const { code, stderr } = await lost.run(["list"]);
    expect(code).toBe(3);
    expect(stderr).toContain("did not answer within 5 s");
  });
});

function utf16(house: Installation): string {
  const path = house.csv("utf16.csv", []);
  writeFileSync(path, Buffer.from("\ufefffoo.moo.com,443\r\n", "utf16le"));
  return path;
}
