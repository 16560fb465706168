import { appendFileSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Removals } from "../../../src/store/removals.ts";
import { tempDir } from "../../support/temp.ts";

describe("the journal of removals", () => {
  it("tells when each certificate was removed last, to this user alone", async () => {
    const home = join(tempDir("certherd-removals"), "not", "there");
    const removals = new Removals(home);
    expect(await removals.load()).toEqual(new Map());
    await removals.note("a.example", 100);
    await removals.note("_.b.example", 200);
    await removals.note("a.example", 300);
    expect(await new Removals(home).load()).toEqual(
      new Map([
        ["a.example", 300],
        ["_.b.example", 200],
      ]),
    );
    expect(statSync(join(home, "removed.jsonl")).mode & 0o777).toBe(0o600);
  });

  it("passes over a line that a crash has cut off, and goes on after it", async () => {
    const home = tempDir("certherd-removals");
    const removals = new Removals(home);
    await removals.note("a.example", 100);
    appendFileSync(join(home, "removed.jsonl"), '{"id":"b.exam');
    expect(await removals.load()).toEqual(new Map([["a.example", 100]]));
    await removals.note("c.example", 200);
    expect([...(await removals.load()).keys()]).toEqual(["a.example", "c.example"]);
    expect(readFileSync(join(home, "removed.jsonl"), "utf8").endsWith("\n")).toBe(true);
  });
});
