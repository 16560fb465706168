import { describe, expect, it } from "vitest";
import { combine, type DnsRecord, type Verdict } from "../../../src/preflight/verdict.ts";

const ready: Verdict = { kind: "ready" };
const node: Verdict = { kind: "node", code: "hairpin", detail: "N." };
const blocked: Verdict = { kind: "blocked", code: "b", detail: "B." };
const record: DnsRecord = { name: "x.test", type: "A", set: "1", today: "2", why: "w" };
const customer = (detail: string, set = "1"): Verdict => ({
  kind: "customer",
  detail,
  records: [{ ...record, set }],
});

const all = (...verdicts: Verdict[]) =>
  combine(verdicts.map((verdict, index) => ({ name: `${index}.test`, verdict })));

describe("the verdict over a certificate's names", () => {
  it("is ready only if all are", () => {
    expect(all(ready, ready)).toEqual(ready);
    expect(all()).toEqual(ready);
  });

  it("blames this host first, then the customer, then what is blocked", () => {
    expect(all(ready, blocked, customer("C."), node)).toEqual(node);
    expect(all(ready, blocked, customer("C."))).toEqual(customer("C."));
    expect(all(ready, blocked)).toEqual(blocked);
  });

  it("holds every record once, and three sentences", () => {
    const many = ["A.", "B.", "C.", "D.", "E."].map((detail, index) => customer(detail, `${index % 2}`));
    expect(all(ready, ...many)).toEqual({
      kind: "customer",
      detail: "A. B. C. And 2 more names.",
      records: [
        { ...record, set: "0" },
        { ...record, set: "1" },
      ],
    });
    expect(all(...many.slice(0, 4))).toMatchObject({ detail: "A. B. C. And 1 more name." });
  });

  it("tells once what many names share", () => {
    expect(all(...Array.from({ length: 50 }, () => customer("A.")))).toEqual(customer("A."));
  });
});
