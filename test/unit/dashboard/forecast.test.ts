import { expect, it } from "vitest";
import { curveOf, ordersByCa } from "../../../src/dashboard/wizard/plan.ts";
import { byCustomer, customersCsv, readTriage } from "../../../src/dashboard/wizard/triage.ts";

const NOW = Date.parse("2026-08-01T12:00:00Z");
const at = (ms: number) => new Date(NOW + ms).toISOString();
const certificate = (ms: number) => ({ name: "a.example", at: at(ms), ca: "le" });

it("the curve rises from now to all, in steps where several go at once", () => {
  expect(curveOf([certificate(2_000), certificate(0), certificate(1_000), certificate(2_000)], NOW)).toEqual({
    x: [NOW, NOW + 1, NOW + 1_000, NOW + 2_000, NOW + 600_000],
    y: [0, 1, 2, 4, 4],
  });
});

it("the curve of 100,000 is as good as that of 200, and ends at all of them", () => {
  const { x, y } = curveOf(
    Array.from({ length: 100_000 }, (_, n) => certificate(n * 10)),
    NOW,
  );
  expect(x.length).toBeLessThanOrEqual(202);
  expect([x.at(-1), y.at(-1)]).toEqual([NOW + 999_990, 100_000]);
  expect(x).toEqual([...x].sort((a, b) => a - b));
});

it("what goes at once is a step, and there is a time to draw it over", () => {
  expect(curveOf([certificate(-5_000)], NOW)).toEqual({
    x: [NOW, NOW + 1, NOW + 600_000],
    y: [0, 1, 1],
  });
  expect(curveOf([], NOW).y).toEqual([0, 0]);
});

it("counts orders by CA", () => {
  expect([...ordersByCa([certificate(1), certificate(2), { name: "x", at: at(3) }])]).toEqual([["le", 2]]);
});

function body(...pieces: string[]): ReadableStream<Uint8Array> {
  return new Blob(pieces).stream() as ReadableStream<Uint8Array>;
}

const REPORT = { certificates: 2, ready: 2, customer: 0, node: 0, blocked: 0, rejected: 0, waiting: [] };

it("reads a triage to its report, and tells how far it is", async () => {
  const told: number[] = [];
  const text = `{"progress":{"done":0,"total":2}}\n{"progress":{"done":1,"total":2}}\n${JSON.stringify({ triage: REPORT })}\n`;
  // In pieces that end within a line, and within a letter.
  const bytes = new TextEncoder().encode(text);
  let next = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (next >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(next, next + 5));
      next += 5;
    },
  });
  expect(await readTriage(stream, ({ done }) => told.push(done))).toEqual(REPORT);
  expect(told).toEqual([0, 1]);
});

it("throws the problem that has ended it, or one that it broke off", async () => {
  const problem = '{"problem":{"type":"urn:x","title":"t","detail":"The name server is gone."}}\n';
  await expect(readTriage(body(problem), () => undefined)).rejects.toThrow("The name server is gone.");
  await expect(readTriage(body('{"progress":{"done":0,"total":2}}\n'), () => undefined)).rejects.toThrow(
    "broke off",
  );
});

const record = {
  name: "www.a.example",
  type: "A",
  set: "192.0.2.1",
  today: "192.0.2.9",
  why: "it leads away",
};
const waiting = (name: string, more: object) => ({
  name,
  domain: name.split(".").slice(-2).join("."),
  kind: "customer" as const,
  detail: "",
  records: [record],
  ...more,
});

it("gathers customers by mail, or else by registered domain", () => {
  const groups = byCustomer([
    waiting("a.one.example", { mail: "x@x.example" }),
    waiting("b.two.example", {}),
    waiting("c.three.example", { mail: "x@x.example" }),
    waiting("d.two.example", {}),
    waiting("e.four.example", { kind: "node" }),
  ]);
  expect(groups.map(({ whom, certificates }) => [whom, certificates.map(({ name }) => name)])).toEqual([
    ["x@x.example", ["a.one.example", "c.three.example"]],
    ["two.example", ["b.two.example", "d.two.example"]],
  ]);
});

it("writes the list for customers as the command does", () => {
  const removed = { name: "a.example", type: "AAAA", today: "=2001:db8::1", why: "it leads away" };
  const lines = customersCsv([
    waiting("www.a.example", { mail: "x@x.example" }),
    waiting("a.example", { records: [removed] }),
    waiting("no.example", { kind: "blocked" }),
  ]).split("\n");
  expect(lines).toEqual([
    "DOMAIN,Record,Type,Set,Today,Why,Mail",
    "www.a.example,www.a.example,A,192.0.2.1,192.0.2.9,it leads away,x@x.example",
    "a.example,a.example,AAAA,(remove),'=2001:db8::1,it leads away,",
    "",
  ]);
});
