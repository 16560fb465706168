import { describe, expect, it } from "vitest";
import { csvLine } from "../../../src/core/csv.ts";
import {
  cellOf,
  columnsOf,
  guessCells,
  isHeader,
  isRow,
  NO_HEADER,
  readCells,
  sheetLine,
  writeCells,
} from "../../../src/dashboard/wizard/cells.ts";
import { type RawRow, readRows } from "../../../src/intake/csv.ts";

async function asTheApiReads(line: string): Promise<RawRow | undefined> {
  // A header of many columns, so that none is surplus.
  const header = `DOMAIN,VIPPort,${Array.from({ length: 20 }, (_, n) => `x${n}`).join(",")}\n`;
  for await (const row of readRows([Buffer.from(`${header}${line}\nlast.example\n`)] as never, {
    maxBytes: 1e6,
    what: "x",
  }))
    return row.line === 2 ? row : undefined;
  return undefined;
}

describe.each([
  "www.example.com",
  "www.example.com,443,8888,a@x.example,b@x.example,mx.x.example,25",
  " spaced.example , 443 ,",
  '"a.example b.example",443',
  '  "a,b" , "say ""hi""",,',
  '"",443',
  'www"."example.com,443',
  '"open.example,443',
  '"a"b,443',
  "a,,,",
  "\ta.example\t,\t443",
  "bücher.example,443",
])("%s", (line) => {
  it("has the cells that the API reads in it", async () => {
    const row = await asTheApiReads(line);
    const cells = readCells(line);
    expect(cells === undefined).toBe(row?.faults.length === 1);
    expect((cells ?? guessCells(line)).map((cell) => cell.trim())).toEqual(
      row?.raw.map((cell) => cell.trim()),
    );
  });
});

it.each(["", "   ", ",,,", "# a comment", "  #too", " , ,"])("%j is no row for either", async (line) => {
  expect(isRow(line)).toBe(false);
  expect(await asTheApiReads(line)).toBeUndefined();
});

it.each([
  ["DOMAIN,VIPPort", true],
  ["domain", true],
  ["VIPPort, Domain", true],
  ["notes,DOMAIN", false],
  ["www.example.com,443", false],
])("whether %s is a header line", (line, expected) => {
  expect(isHeader(readCells(line) ?? [])).toBe(expected);
});

it("writes what it reads again, and what the API writes", () => {
  const cells = ["a,b", 'say "hi"', "#1", " x", "", "plain", "=1+1", "-a.example"];
  expect(readCells(writeCells(cells))).toEqual(cells);
  expect(sheetLine(cells)).toBe(csvLine(cells));
});

it("finds the cell of a fault by the column's name, the header's, or its number", () => {
  const columns = columnsOf(["vipport", "Domain", "Notes"]);
  expect(["DOMAIN", "VIPPort", "Notes", "7"].map((column) => cellOf(column, columns))).toEqual([1, 0, 2, 6]);
  expect(cellOf("8", NO_HEADER)).toBe(7);
  expect(cellOf("Challenge", NO_HEADER)).toBe(0);
});
