import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AppError } from "../../../src/core/errors.ts";
import { readRows } from "../../../src/intake/csv.ts";
import { RejectedFile, rejectedPath } from "../../../src/intake/rejected.ts";
import { checkRow, type Fault } from "../../../src/intake/row.ts";

let directory = "";
let target = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "certherd-rejected-"));
  target = rejectedPath(join(directory, "list.csv"));
});
afterEach(() => rm(directory, { recursive: true }));

/** Imports a text as far as its rows go: how many are good, which faults there are, and the rejected file's text. */
async function run(text: string): Promise<{ good: string[]; faults: Fault[]; rejected: string | undefined }> {
  const rows = readRows(Readable.from([Buffer.from(text)]), { maxBytes: 1e9, what: "list.csv" });
  const file = new RejectedFile(target, rows.info);
  const good: string[] = [];
  const faults: Fault[] = [];
  for await (const row of rows) {
    const checked = checkRow(row.cells, {
      line: row.line,
      faults: row.faults,
      knownCas: ["letsencrypt"],
      dns01: false,
    });
    if ("spec" in checked) {
      good.push(...checked.spec.names);
      continue;
    }
    faults.push(...checked.faults);
    await file.add(row, checked.faults);
  }
  const path = await file.close();
  return { good, faults, rejected: path && (await readFile(path, "utf8")) };
}

describe("the rejected file", () => {
  it("lies beside the imported one", () =>
    expect(rejectedPath("/tmp/list.csv")).toBe("/tmp/list.csv.rejected.csv"));

  it("has one record a bad row, with all its faults", async () => {
    const { good, rejected } = await run('a.example\nb_c.example,"x"\n"d.example e.example",0\n');
    expect(good).toEqual(["a.example"]);
    const lines = rejected?.split("\n") ?? [];
    expect(lines[0]).toBe(
      "DOMAIN,VIPPort,ACMEPort,FROMAddr,TOAddr,RELAYAddr,RELAYPort,Line,Column,Value,Reason",
    );
    expect(lines[1]).toMatch(
      /^b_c\.example,x,,,,,,2,DOMAIN \| VIPPort,b_c\.example \| x,"?it holds an underscore.* \| a port is/,
    );
    expect(lines[2]).toMatch(/^d\.example e\.example,0,,,,,,3,VIPPort,0,/);
    expect(lines).toHaveLength(4);
  });

  it("can be mended and imported, columns in the file's own order", async () => {
    const first = await run('domain,Notes,KeyType\na_b.example,"x, ""y""",ec256\nc.example, #z,dsa\n');
    expect(first.rejected?.split("\n")[0]).toBe("domain,Notes,KeyType,Line,Column,Value,Reason");
    const mended = first.rejected?.replace("a_b.example,", "a-b.example,").replace(",dsa,", ",2048,") ?? "";
    expect(await run(mended)).toEqual({
      good: ["a-b.example", "c.example"],
      faults: [],
      rejected: undefined,
    });
  });

  it("can be mended in part, and has the fault columns once however often", async () => {
    const first = await run("a_b.example\nc_d.example\n");
    const second = await run(first.rejected?.replace("a_b.example,", "a-b.example,") ?? "");
    expect(second.good).toEqual(["a-b.example"]);
    expect(second.rejected?.split("\n")[0]).toBe(first.rejected?.split("\n")[0]);
    expect(second.rejected?.split("\n")[1]).toMatch(/^c_d\.example,,,,,,,3,DOMAIN,/);
  });

  it("is as bad again when it is not mended, whatever was wrong", async () => {
    const bad = [
      '"a.example',
      'b.example,443,"8888',
      "c.example,443,8888,,,,25,surplus",
      'd"".example',
      `e.example,${"x".repeat(70_000)}`,
      "f.example,443,8888,x\ry@x.example,t@x.example,relay",
      "*.g.example",
      "#h.example;" /* a comment, no row */,
      '"#i.example"',
      "j.example,443,8888,,t@x.example",
    ];
    const first = await run(`ok.example\n${bad.join("\n")}\n`);
    const rows = bad.length - 1;
    expect(first.good).toEqual(["ok.example"]);
    expect(new Set(first.faults.map((fault) => fault.line)).size).toBe(rows);
    const second = await run(first.rejected ?? "");
    expect(second.good).toEqual([]);
    expect(new Set(second.faults.map((fault) => fault.line)).size).toBe(rows);
  });

  it("is for its owner only, and leaves nothing else behind", async () => {
    await run("a_b.example\n");
    expect((await stat(target)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(["list.csv.rejected.csv"]);
  });

  it("holds thousands of rows", async () => {
    const { rejected } = await run(Array.from({ length: 5_000 }, (_, i) => `a_${i}.example\n`).join(""));
    const lines = rejected?.trimEnd().split("\n") ?? [];
    expect(lines).toHaveLength(5_001);
    expect(lines[5_000]).toMatch(/^a_4999\.example,.*,5000,DOMAIN/);
  });

  it("of an earlier import is replaced, or removed once nothing is wrong", async () => {
    await writeFile(target, "old");
    expect((await run("a_b.example\n")).rejected).toMatch(/^DOMAIN/);
    expect(await run("a.example\n")).toMatchObject({ rejected: undefined });
    expect(await readdir(directory)).toEqual([]);
  });
});

describe("written in place", () => {
  const row = { line: 1, raw: ["a_b.example"] };
  const fault: Fault = { line: 1, domain: "", column: "DOMAIN", value: "=a", reason: "no" };

  it("stays as far as it has come", async () => {
    const file = new RejectedFile(target, { header: undefined }, { inPlace: true });
    await file.flush();
    expect(await readdir(directory)).toEqual([]);
    await file.add(row, [fault]);
    await file.flush();
    const text = await readFile(target, "utf8");
    expect(text.split("\n")[1]).toBe("a_b.example,,,,,,,1,DOMAIN,'=a,no");
    await file.add(row, [fault]);
    await file.abort();
    expect(await readFile(target, "utf8")).toBe(text);
  });

  it("is not there where nothing is wrong", async () => {
    expect(await new RejectedFile(target, { header: undefined }, { inPlace: true }).close()).toBeUndefined();
    expect(await readdir(directory)).toEqual([]);
  });
});

describe("an import that fails", () => {
  const row = { line: 1, raw: ["a_b.example"] };
  const fault: Fault = {
    line: 1,
    domain: "a_b.example",
    column: "DOMAIN",
    value: "a_b.example",
    reason: "no\r\ngood",
  };

  it("leaves the earlier file as it was", async () => {
    await writeFile(target, "old");
    const file = new RejectedFile(target, { header: undefined });
    await file.add(row, [fault]);
    await file.abort();
    expect(await file.close()).toBeUndefined();
    expect(await readdir(directory)).toEqual(["list.csv.rejected.csv"]);
    expect(await readFile(target, "utf8")).toBe("old");
  });

  it("says so when the disk does not take it", async () => {
    const file = new RejectedFile(join(directory, "none", "x.csv"), { header: undefined });
    const error = await file.add(row, [fault]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: "rejected_file", disposition: "unavailable" });
    await mkdir(target);
    const onto = new RejectedFile(target, { header: undefined });
    await onto.add(row, [fault]);
    await expect(onto.close()).rejects.toMatchObject({ code: "rejected_file" });
    expect(await readdir(directory)).toEqual(["list.csv.rejected.csv"]);
  });
});
