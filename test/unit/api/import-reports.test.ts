import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fileName, reportLine, wholeLines } from "../../../src/api/import-reports.ts";
import type { CertificateRecord } from "../../../src/core/certificate.ts";
import { makeSpec } from "../../support/specs.ts";
import { tempDir } from "../../support/temp.ts";

const record = (more: Partial<CertificateRecord>): CertificateRecord => ({
  id: "a.example",
  spec: makeSpec("a.example"),
  status: "queued",
  attempts: 0,
  generation: 1,
  acceptedAt: 0,
  ...more,
});

describe("a line of the report", () => {
  it("has the leaf, times and what has failed", () => {
    const leaf = {
      notBefore: Date.UTC(2026, 0, 1),
      notAfter: Date.UTC(2026, 3, 1),
      issuer: "R10, Let's Encrypt",
      serial: "04D2",
      renewAt: 0,
    };
    expect(reportLine(record({ status: "serving", leaf }))).toBe(
      'a.example,a.example,serving,,,,2026-01-01T00:00:00Z,2026-04-01T00:00:00Z,04D2,"R10, Let\'s Encrypt",\n',
    );
    const until = Date.UTC(2026, 0, 2);
    expect(
      reportLine(record({ status: "waiting", reason: "retry", until, detail: "=cmd|' /C calc'!A0" })),
    ).toBe("a.example,a.example,waiting,retry,2026-01-02T00:00:00Z,'=cmd|' /C calc'!A0,,,,,\n");
  });
});

describe("the name of a file", () => {
  it.each([
    ["domains.csv", "domains.report.csv"],
    ["/srv/lists/August 2026.CSV", "August_2026.report.csv"],
    ["C:\\lists\\a.csv", "a.report.csv"],
    ["../../etc/passwd", "passwd.report.csv"],
    ['a"; filename="b.exe', "a_filename_b.exe.report.csv"],
    ["日本.csv", "i1.report.csv"],
    ["", "i1.report.csv"],
    [".", "i1.report.csv"],
    ["x".repeat(300), `${"x".repeat(60)}.report.csv`],
  ])("of %s", (source, name) => expect(fileName(source, "i1", "report")).toBe(name));
});

it("a last line that is not whole is passed over", async () => {
  const path = join(tempDir("certherd-lines"), "x.csv");
  const read = async (): Promise<string> => {
    let text = "";
    for await (const piece of wholeLines(path)) text += piece;
    return text;
  };
  writeFileSync(path, "a,b\n1,");
  expect(await read()).toBe("a,b\n");
  appendFileSync(path, `${"é".repeat(100_000)}\n3,4`);
  expect(await read()).toBe(`a,b\n1,${"é".repeat(100_000)}\n`);
  writeFileSync(path, "");
  expect(await read()).toBe("");
});
