import { parse } from "csv-parse/sync";
import { describe, expect, it } from "vitest";
import { customerLine, customersHeader } from "../../../src/preflight/customers.ts";
import type { DnsRecord } from "../../../src/preflight/verdict.ts";

const record: DnsRecord = {
  name: "example.com",
  type: "CAA",
  set: '0 issue "letsencrypt.org"',
  today: '0 issue "a.example", 0 issue "b.example"',
  why: "CAA of example.com does not name letsencrypt.org",
};

describe("the list for customers", () => {
  it("is CSV that reads back as it was", () => {
    const text =
      customersHeader() + customerLine({ domain: "www.example.com", record, mail: "a@example.com" });
    expect(text.startsWith("DOMAIN,Record,Type,Set,Today,Why,Mail\n")).toBe(true);
    expect(parse(text, { columns: true })).toEqual([
      {
        DOMAIN: "www.example.com",
        Record: "example.com",
        Type: "CAA",
        Set: record.set,
        Today: record.today,
        Why: record.why,
        Mail: "a@example.com",
      },
    ]);
  });

  it("says what is to be removed, and leaves the mail empty where there is none", () => {
    const line = customerLine({
      domain: "example.com",
      record: { ...record, type: "AAAA", set: undefined, today: "2a00::1", why: "w" },
    });
    expect(line).toBe("example.com,example.com,AAAA,(remove),2a00::1,w,\n");
  });

  it.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1", " =1"])("holds no formula: %j", (today) => {
    const line = customerLine({ domain: "example.com", record: { ...record, today } });
    expect(parse(line)[0]?.[4]).toMatch(/^'\s*[=+\-@]/);
  });

  it("holds no line break within a row", () => {
    const line = customerLine({ domain: "example.com", record: { ...record, why: "one\ntwo" } });
    expect(line.indexOf("\n")).toBe(line.length - 1);
  });
});
