import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AppError } from "../../../src/core/errors.ts";
import { openCsv, type RawRow, readRows } from "../../../src/intake/csv.ts";
import { checkRow } from "../../../src/intake/row.ts";

const options = { maxBytes: 1e9, what: "list.csv" };

async function collect(rows: AsyncIterable<RawRow>): Promise<RawRow[]> {
  const all: RawRow[] = [];
  for await (const row of rows) all.push(row);
  return all;
}

/** In chunks of some size, so that lines, letters and marks get cut. */
async function* chunked(content: string | Buffer, size = 65_536): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(content as string);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const read = (content: string | Buffer, size?: number) => collect(readRows(chunked(content, size), options));
const domains = (rows: RawRow[]) => rows.map((row) => [row.line, row.cells.DOMAIN]);

async function refusal(work: Promise<unknown>): Promise<AppError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw new Error(`not refused, but ${String(error)}`);
  expect(error.disposition).toBe("usage");
  expect(error.message).not.toMatch(/\n/);
  return error;
}

/** Deterministic, so that a failure can be looked at again. */
function randomSource(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

describe("rows without a header", () => {
  it("have their cells by position, as many as there are", async () => {
    const rows = await read("a.example\nb.example,8443,9000,f@x.example,t@x.example,relay,2525\n");
    expect(rows).toEqual([
      { line: 1, cells: { DOMAIN: "a.example" }, raw: ["a.example"], faults: [] },
      {
        line: 2,
        cells: {
          DOMAIN: "b.example",
          VIPPort: "8443",
          ACMEPort: "9000",
          FROMAddr: "f@x.example",
          TOAddr: "t@x.example",
          RELAYAddr: "relay",
          RELAYPort: "2525",
        },
        raw: ["b.example", "8443", "9000", "f@x.example", "t@x.example", "relay", "2525"],
        faults: [],
      },
    ]);
  });

  it("may stand among blank lines and comments, which count as lines", async () => {
    const text =
      '# list\n\n  \t\n a.example , 443 \n  # more\n,,,\n"",\n"b.example c.example"\n\n#\nd.example';
    expect(domains(await read(text))).toEqual([
      [4, "a.example"],
      [8, "b.example c.example"],
      [11, "d.example"],
    ]);
  });

  it("may be quoted, with spaces about it", async () => {
    const [row] = await read(' "a.example;b.example" , "443","","f""x@x.example" \n');
    expect(row?.raw).toEqual(["a.example;b.example", "443", "", 'f"x@x.example']);
  });

  it.each([1, 2, 3, 7, 65_536])("are the same in chunks of %d bytes", async (size) => {
    const text = '\ufeffmüller.de,443\r\n\r\n"b.example;ü.example",443\r\nc"x\r\nd.example\r\n';
    const rows = await read(text, size);
    expect(rows.map((row) => [row.line, row.raw[0], row.faults.length])).toEqual([
      [1, "müller.de", 0],
      [3, "b.example;ü.example", 0],
      [4, 'c"x', 1],
      [5, "d.example", 0],
    ]);
  });

  it("have at most 7 columns, empty ones behind not counted", async () => {
    const [good, bad] = await read("a.example,443,8888,,,,25,,\nb.example,443,8888,,,,25,x,y\n");
    expect(good?.faults).toEqual([]);
    expect(bad?.faults).toMatchObject([{ line: 2, domain: "b.example", column: "8", value: "x" }]);
    expect(bad?.raw).toHaveLength(9);
    expect(bad?.cells.RELAYPort).toBe("25");
  });
});

describe("a header line", () => {
  it("orders the columns as it likes, after a byte order mark, with CRLF", async () => {
    const text =
      "\ufeff# exported\r\ndomain,relayaddr,TOADDR, Priority ,CA\r\na.example,relay,t@x.example,low,zerossl\r\nb.example\r\n";
    const rows = readRows(chunked(text), options);
    expect((await collect(rows)).map((row) => row.cells)).toEqual([
      { DOMAIN: "a.example", RELAYAddr: "relay", TOAddr: "t@x.example", Priority: "low", CA: "zerossl" },
      { DOMAIN: "b.example" },
    ]);
    expect(rows.info.header).toEqual(["domain", "relayaddr", "TOADDR", "Priority", "CA"]);
    expect(rows.info.warnings).toEqual([]);
  });

  it("may have DOMAIN elsewhere among columns we know", async () => {
    expect(domains(await read("VIPPort,Domain\n443,a.example\n"))).toEqual([[2, "a.example"]]);
  });

  it("is known by the first row, and may be quoted", async () => {
    const rows = readRows(chunked('"DOMAIN","VIPPort"\na.example,443\n'), options);
    expect(rows.info.header).toBeUndefined();
    await rows.next();
    expect(rows.info.header).toEqual(["DOMAIN", "VIPPort"]);
    await rows.return();
  });

  it("stands even behind an unreadable line", async () => {
    const rows = await read('oh "dear\nDOMAIN,CA,VIPPort\na.example,zerossl,443\n');
    expect(rows.map((row) => [row.line, row.faults.length, row.cells])).toEqual([
      [1, 1, {}],
      [3, 0, { DOMAIN: "a.example", CA: "zerossl", VIPPort: "443" }],
    ]);
  });

  it("warns once of columns it does not know, and not of a rejected file's", async () => {
    const rows = readRows(
      chunked("DOMAIN,Customer,Line,COLUMN,Value,Reason,Notes,\na.example,x,1,2,3,4,5,\n"),
      options,
    );
    expect(await collect(rows)).toMatchObject([{ cells: { DOMAIN: "a.example" }, faults: [] }]);
    expect(rows.info.warnings).toEqual([
      "list.csv: these columns are not known and were ignored: Customer, Notes.",
    ]);
  });

  it("is a bound for the rows", async () => {
    const rows = await read("DOMAIN,CA\na.example,x,\nb.example,x,y\n");
    expect(rows.map((row) => row.faults.map((fault) => [fault.column, fault.value]))).toEqual([
      [],
      [["3", "y"]],
    ]);
  });

  it("must not have a column twice", async () => {
    expect((await refusal(read("DOMAIN,CA,ca\na.example\n"))).code).toBe("csv_header");
  });
});

describe("a line that cannot be read", () => {
  it("with an odd number of quotation marks costs no other row", async () => {
    const rows = await read('a.example\nb.example,"443,8888\nc.example,443\n"d.example\ne.example\n');
    expect(rows.map((row) => [row.line, row.raw[0], row.faults[0]?.column])).toEqual([
      [1, "a.example", undefined],
      [2, "b.example", "VIPPort"],
      [3, "c.example", undefined],
      [4, '"d.example', "DOMAIN"],
      [5, "e.example", undefined],
    ]);
    expect(rows[1]).toEqual({
      line: 2,
      cells: {},
      raw: ["b.example", '"443', "8888"],
      faults: [
        {
          line: 2,
          domain: "b.example",
          column: "VIPPort",
          value: '"443',
          reason: "a quotation mark is opened and not closed on this line",
        },
      ],
    });
  });

  it.each(['b"".example', '"b".example,443', '"b"c",d""', 'x"b"', '"b" "c"', '""b""'])(
    "as a quotation mark is inside a cell (%s) costs no other row",
    async (line) => {
      const rows = await read(`a.example\n${line}\nc.example\n`);
      expect(rows.map((row) => [row.line, row.faults.length])).toEqual([
        [1, 0],
        [2, 1],
        [3, 0],
      ]);
    },
  );

  it("is one of more than 64 KiB", async () => {
    const fits = `a.example,${"x".repeat(65_536 - 10)}`;
    for (const size of [1_000, 65_536, 1e7]) {
      const rows = await read(
        `${fits}\r\nb.example,${"x".repeat(65_537)}\r\n${"y".repeat(300_000)}\nc.example\n`,
        size,
      );
      expect(rows.map((row) => [row.line, row.faults.map((fault) => fault.column)])).toEqual([
        [1, []],
        [2, ["DOMAIN"]],
        [3, ["DOMAIN"]],
        [4, []],
      ]);
      expect(rows[1]?.raw[0]?.length).toBeLessThanOrEqual(120);
    }
  });

  it("is one in another encoding", async () => {
    const text = Buffer.concat([
      Buffer.from("ä.example\nb.example,"),
      Buffer.from("m\xfcller@x\n", "latin1"),
      Buffer.from("c.example"),
    ]);
    const rows = await read(text);
    expect(rows.map((row) => row.faults.map((fault) => [fault.column, fault.value]))).toEqual([
      [],
      [["VIPPort", "m\ufffdller@x"]],
      [],
    ]);
    expect(rows[1]?.faults[0]?.reason).toMatch(/UTF-8/);
  });
});

describe("a file is refused as a whole", () => {
  it.each<[string, string | Buffer, string, RegExp]>([
    ["of nothing", "", "csv_empty", /^list\.csv holds no rows/],
    ["of blank lines and comments", "\ufeff\n \r\n# a\n,,\n", "csv_empty", /holds no rows/],
    ["of a header alone", "DOMAIN,VIPPort\n", "csv_empty", /holds no rows/],
    ["in UTF-16", Buffer.from("\ufeffa.example\n", "utf16le"), "csv_encoding", /UTF-16: save it as UTF-8/],
    [
      "in UTF-16, big end first",
      Buffer.from("\ufeffa.example\n", "utf16le").swap16(),
      "csv_encoding",
      /UTF-8/,
    ],
    ["in UTF-16 without a mark", Buffer.from("a.example\n", "utf16le"), "csv_encoding", /UTF-8/],
    ["that is a workbook", Buffer.from("PK\x03\x04\x14\x00\x06\x00"), "csv_binary", /workbook.*CSV/],
    ["that is binary", Buffer.from("\x7fELF\x02\x01\x01\x00a.example\n"), "csv_binary", /binary/],
    ["in JSON", '\n {"a": 1}\n', "csv_format", /no CSV.*\{/],
    ["in JSON, a list", "[1]\n", "csv_format", /no CSV/],
    ["in HTML", "# x\n<!doctype html>\n", "csv_format", /no CSV/],
    ["in PDF", "%PDF-1.7\n", "csv_format", /no CSV/],
    ["in PEM", "-----BEGIN CERTIFICATE-----\nMII\n", "csv_format", /no CSV/],
    ["in JSON, on one long line", `{"a": "${"x".repeat(100_000)}"}`, "csv_format", /no CSV/],
    ["with semicolons", "DOMAIN;VIPPort\na.example;443\n", "csv_separator", /commas/],
    ["with tabs", "Domain\tVIPPort\na.example\t443\n", "csv_separator", /commas/],
  ])("%s", async (_, content, code, sentence) => {
    const error = await refusal(read(content, 3));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(sentence)]);
  });

  it("when it grows too large", async () => {
    const rows = readRows(chunked("a.example\n".repeat(1_000), 100), { maxBytes: 9_000, what: "list.csv" });
    expect(await refusal(collect(rows))).toMatchObject({ code: "csv_too_large" });
  });
});

describe("garbage", () => {
  const alphabets = [
    Array.from({ length: 256 }, (_, byte) => byte),
    [...Buffer.from('",\r\t ;|#ab.\n""')],
    [...Buffer.from('"",,a \n'), 0xc3, 0xbc, 0xff, 0xef, 0xbb, 0xbf],
    Array.from({ length: 255 }, (_, byte) => byte + 1),
  ];

  it.each(alphabets.map((_, kind) => kind))(
    "(%d) throws nothing but usage errors and costs no good row",
    async (kind) => {
      const random = randomSource(kind + 1);
      const alphabet = alphabets[kind] ?? [];
      let survived = 0;
      for (let round = 0; round < 300; round++) {
        const parts: Buffer[] = [];
        const expected: Array<[number, string]> = [];
        let line = 1;
        for (let n = 0; n < 6; n++) {
          const garbage = Buffer.from(
            Array.from({ length: random(40) }, () => alphabet[random(alphabet.length)] ?? 0),
          );
          const good = `good-${round}-${n}.example`;
          parts.push(garbage, Buffer.from(`\n"${good}",443\r\n`));
          line += garbage.filter((byte) => byte === 0x0a).length + 1;
          expected.push([line, good]);
          line++;
        }
        const rows = readRows(chunked(Buffer.concat(parts), 1 + random(200)), options);
        const all = await collect(rows).catch((error: unknown) => error);
        if (all instanceof AppError && all.disposition === "usage") continue;
        if (!Array.isArray(all)) throw all;
        survived++;
        expect(domains(all.filter((row: RawRow) => row.raw[0]?.startsWith("good-")))).toEqual(expected);
        expect(all.every((row: RawRow, i) => i === 0 || row.line > (all[i - 1] as RawRow).line)).toBe(true);
        for (const row of all)
          checkRow(row.cells, { line: row.line, knownCas: [], dns01: false, faults: row.faults });
      }
      // Of all bytes nearly every round has a NUL, which alone refuses the file.
      expect(survived).toBeGreaterThan(kind === 0 ? 50 : 250);
    },
  );

  it("of quotation marks takes no long time to judge", async () => {
    const lines = [
      '"",'.repeat(21_000),
      '""'.repeat(32_000),
      `"${'",'.repeat(30_000)}`,
      ' "" '.repeat(16_000),
      `${'"a"'.repeat(20_000)},`,
    ];
    const start = performance.now();
    await read(lines.join("\n"));
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe("a long stream", () => {
  async function* lazily(count: number, onChunk: () => void = () => {}): AsyncGenerator<Buffer> {
    for (let from = 0; from < count; from += 500) {
      onChunk();
      const lines = Array.from(
        { length: 500 },
        (_, i) => `www${from + i}.customer.example,443,8888,,"t@x.example",relay,25\r\n`,
      );
      yield Buffer.from(lines.join(""));
    }
  }

  it("of 100,000 rows takes no more memory than a short one", async () => {
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    const heap = () => {
      gc();
      return process.memoryUsage().heapUsed;
    };
    let count = 0;
    let most = 0;
    let before = 0;
    for await (const row of readRows(Readable.from(lazily(100_000)), options)) {
      if (++count === 1_000) before = heap();
      if (count % 10_000 === 0) most = Math.max(most, heap());
      expect(row.line).toBe(count);
    }
    expect(count).toBe(100_000);
    expect((most - before) / 2 ** 20).toBeLessThan(30);
  });

  it("is read only as far as rows are taken, and then let go", async () => {
    let chunks = 0;
    const source = Readable.from(
      lazily(100_000, () => {
        chunks++;
      }),
      { highWaterMark: 1 },
    );
    let taken = 0;
    for await (const _ of readRows(source, options)) {
      if (++taken === 1_200) break;
    }
    expect(chunks).toBeLessThan(10);
    expect(source.destroyed).toBe(true);
  });
});

describe("openCsv", () => {
  let directory = "";
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "certherd-csv-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("opens a file", async () => {
    const path = join(directory, "good.csv");
    await writeFile(path, "a.example\n");
    const { source, what } = await openCsv(path, { maxBytes: 100 });
    expect(what).toBe(path);
    expect(domains(await collect(readRows(source, { maxBytes: 100, what })))).toEqual([[1, "a.example"]]);
  });

  it("takes - for standard input", async () => {
    expect(await openCsv("-", { maxBytes: 100 })).toEqual({ source: process.stdin, what: "standard input" });
  });

  it("says why it cannot", async () => {
    const path = join(directory, "large.csv");
    await writeFile(path, "a.example\n".repeat(100));
    const code = async (name: string) => (await refusal(openCsv(name, { maxBytes: 100 }))).code;
    expect(await code(join(directory, "none.csv"))).toBe("csv_not_found");
    expect(await code(join(path, "below.csv"))).toBe("csv_not_found");
    expect(await code(directory)).toBe("csv_directory");
    expect(await code(path)).toBe("csv_too_large");
    expect(await code("a\u0000b")).toBe("csv_unreadable");
    // Root reads everything, so that there is nothing to be refused.
    if (process.getuid?.() !== 0) {
      await writeFile(path, "a.example\n", { mode: 0 });
      await rm(path);
      await writeFile(path, "a.example\n", { mode: 0 });
      expect(await code(path)).toBe("csv_unreadable");
    }
  });
});
