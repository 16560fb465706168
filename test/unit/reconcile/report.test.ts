import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { jobIds } from "../../../src/queue/names.ts";
import { jobOf } from "../../../src/reconcile/inventory.ts";
import { KINDS, Report } from "../../../src/reconcile/report.ts";

it("counts all of a kind and keeps the first ones", () => {
  const report = new Report(false);
  for (let n = 0; n < 2_500; n++) report.add("files_gone", `n${n}`);
  report.add("restored", "a.example");
  expect(report.count("person")).toBe(2_500);
  expect(report.count("mended")).toBe(1);
  expect(report.found.map(({ what, examples }) => [what, examples.length])).toEqual([
    ["restored", 1],
    ["files_gone", 1_000],
  ]);
});

it("docs/operations.md says of each what it is", () => {
  const documented = readFileSync("docs/operations.md", "utf8");
  expect(Object.keys(KINDS).filter((what) => !documented.includes(`\`${what}\``))).toEqual([]);
});

it.each(["a.example", "a-1.b-2.example", "_.a.example", "x--1-2.example"])("knows the jobs of %s", (id) => {
  for (const kind of ["check", "admit", "renew"] as const)
    expect(jobOf(jobIds[kind](id, 12))).toEqual({ id, generation: 12 });
  expect(jobOf(jobIds.order(id))).toEqual({ id });
  expect(jobOf(jobIds.deploy(id, "0A1B", 443))).toEqual({ id, vipPort: 443 });
  expect(jobOf(jobIds.withdraw(id, 3, 8443))).toEqual({ id, generation: 3, vipPort: 8443 });
  expect(jobOf(jobIds.mail("now", "abc"))).toBeUndefined();
});
