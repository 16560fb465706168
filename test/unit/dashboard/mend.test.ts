import { expect, it } from "vitest";
import { fileLines, withLines } from "../../../src/dashboard/wizard/lines.ts";
import { type Edits, leftOut, mendedFile, takenIn, withCell } from "../../../src/dashboard/wizard/mend.ts";
import { type Fault, MOST_FAULTY, type Survey, survey } from "../../../src/dashboard/wizard/survey.ts";

const NONE: Edits = new Map();

const fault = (line: number, column = "DOMAIN", reason = "bad", value = ""): Fault => ({
  line,
  domain: "",
  column,
  value,
  reason,
});

async function look(text: string | Blob, faults: Fault[], edits = NONE): Promise<Survey> {
  return await survey(typeof text === "string" ? new Blob([text]) : text, edits, faults);
}

/** A file that arrives in pieces of so many bytes. */
function inPieces(bytes: Uint8Array, size: number): Blob {
  const blob = new Blob([bytes as never]);
  blob.stream = () => {
    let at = 0;
    return new ReadableStream({
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(at, at + size));
        at += size;
      },
    }) as never;
  };
  return blob;
}

it.each([1, 2, 3, 7, 1_000])(
  "lines are the same however the file comes in (%i bytes at a time)",
  async (size) => {
    const text = "\ufeffDOMAIN,VIPPort\r\nbücher.example,1\r\n\r\n# ü\nlast.example";
    const bytes = new TextEncoder().encode(text);
    const lines = [];
    for await (const some of fileLines(inPieces(bytes, size))) lines.push(...some);
    expect(lines.map(({ number, text }) => [number, text])).toEqual([
      [1, "DOMAIN,VIPPort"],
      [2, "bücher.example,1"],
      [3, ""],
      [4, "# ü"],
      [5, "last.example"],
    ]);
    for (const { start, end, text } of lines)
      expect(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.slice(start, end))).toBe(text);
  },
);

it("mends one row and leaves every other byte as it was: mark, CRLF, comments, blank lines, broken letters", async () => {
  const before = Buffer.concat([
    Buffer.from('\ufeffDOMAIN,VIPPort\r\n# note, "odd\r\n\r\nbad_name.example,443\r\n'),
    Buffer.from([0x61, 0xff, 0x2c, 0x0d, 0x0a]),
    Buffer.from('"x.example y.example",443\r\nno end.example'),
  ]);
  const file = new Blob([before]);
  const { faulty } = await look(file, [fault(4)]);
  const [row] = faulty;
  if (!row) throw new Error("no row");
  const edits = withCell(NONE, row, 0, "good-name.example");
  const after = Buffer.from(await mendedFile(file, edits).arrayBuffer());
  expect(after.toString("latin1")).toBe(
    before.toString("latin1").replace("bad_name.example", "good-name.example"),
  );
});

it("the first line keeps its byte order mark", async () => {
  const file = new Blob(["\ufeffbad_name.example\nb.example\n"]);
  const [row] = (await look(file, [fault(1)])).faulty;
  if (!row) throw new Error("no row");
  expect(row.cells).toEqual(["bad_name.example"]);
  const bytes = Buffer.from(await mendedFile(file, withCell(NONE, row, 0, "a.example")).arrayBuffer());
  expect(bytes.toString()).toBe("\ufeffa.example\nb.example\n");
});

it("a row left out becomes a comment, so that all lines keep their numbers; and it can be taken in again", async () => {
  const file = new Blob(["a.example\r\nbad_name\r\nc.example\r\n"]);
  const [row] = (await look(file, [fault(2)])).faulty;
  if (!row) throw new Error("no row");
  const out = leftOut(NONE, row, true);
  expect(await mendedFile(file, out).text()).toBe("a.example\r\n# bad_name\r\nc.example\r\n");
  expect(await mendedFile(file, takenIn(out, 2)).text()).toBe("a.example\r\nbad_name\r\nc.example\r\n");
});

it("missing cells are filled up to the one that is mended; those at the end that are empty go", async () => {
  const file = new Blob(["a.example\nb.example,443,8888,,,,,extra\n"]);
  const { faulty } = await look(file, [fault(1, "RELAYAddr"), fault(2, "8")]);
  const [short, long] = faulty;
  if (!short || !long) throw new Error("no rows");
  expect([...short.faults.keys()]).toEqual([5]);
  expect([...long.faults.keys()]).toEqual([7]);
  const edits = withCell(withCell(NONE, short, 5, "mx.example"), long, 7, "");
  expect(await mendedFile(file, edits).text()).toBe("a.example,,,,,mx.example\nb.example,443,8888\n");
});

it("a stray quotation mark is one line's fault, as a row never spans two", async () => {
  const file = new Blob(['"two\nlines.example",443\nc.example\n']);
  const { faulty } = await look(file, [fault(1), fault(2)]);
  expect(faulty.map(({ cells }) => cells)).toEqual([['"two'], ['lines.example"', "443"]]);
  const [first] = faulty;
  if (!first) throw new Error("no row");
  const edits = withCell(NONE, first, 0, "two.example");
  expect(await mendedFile(file, edits).text()).toBe('two.example\nlines.example",443\nc.example\n');
});

it("columns are those of the header line, wherever that stands, unreadable lines before it included", async () => {
  const { columns, faulty } = await look('# x\n\nbad"line,1\nVIPPort,Domain,Notes\n443,bad_name,n\n', [
    fault(3),
    fault(5),
  ]);
  expect(columns.names).toEqual(["VIPPort", "DOMAIN", undefined]);
  expect(faulty.map(({ faults }) => [...faults.keys()])).toEqual([[1], [1]]);
  expect((await look('bad"line\n', [fault(1)])).faulty).toHaveLength(1);
});

it("several faults of one cell are told apart by what they are about", async () => {
  const { faulty } = await look("a_b.example c_d.example,x\n", [
    fault(1, "DOMAIN", "no underscores", "a_b.example"),
    fault(1, "DOMAIN", "no underscores", "c_d.example"),
    fault(1, "VIPPort", "no port", "x"),
  ]);
  expect([...(faulty[0]?.faults ?? [])]).toEqual([
    [0, ["a_b.example: no underscores", "c_d.example: no underscores"]],
    [1, ["no port"]],
  ]);
});

it("says whom the good rows write to and which CA they ask for, with the edits in them", async () => {
  const file = new Blob([
    "DOMAIN,TOAddr,CA\na.example,x@x.example,le\nb.example, x@x.example\nbad_name,y@x.example\n",
  ]);
  const before = await look(file, [fault(4)]);
  expect([...before.mailTo]).toEqual([["x@x.example", 2]]);
  expect([...before.cas]).toEqual([
    ["le", 1],
    ["", 1],
  ]);
  const [row] = before.faulty;
  if (!row) throw new Error("no row");
  const after = await look(file, [], withCell(NONE, row, 0, "c.example"));
  expect([...after.mailTo]).toEqual([
    ["x@x.example", 2],
    ["y@x.example", 1],
  ]);
});

it("keeps no more faulty rows than anybody mends", async () => {
  const many = MOST_FAULTY + 10;
  const found = await look(
    "bad_name\n".repeat(many),
    Array.from({ length: many }, (_, n) => fault(n + 1)),
  );
  expect(found.faulty).toHaveLength(MOST_FAULTY);
});

it("changes are put in wherever they stand in the list", async () => {
  const file = new Blob(["one\ntwo\nthree\n"]);
  const changed = withLines(file, [
    { line: { start: 8, end: 13 }, text: "3" },
    { line: { start: 0, end: 3 }, text: "1" },
  ]);
  expect(await changed.text()).toBe("1\ntwo\n3\n");
});
