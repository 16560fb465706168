import { describe, expect, it } from "vitest";
import { MAX_LINES, type Report, render, renderNotice } from "../../../src/notify/render.ts";
import { NO_COUNTS } from "../../../src/store/imports.ts";

const NOTHING = { issued: 0, failed: 0, customers: 0, waiting: 0, underway: 0, stopped: 0 };
const UNTIL = Date.UTC(2026, 8, 30, 12, 0, 5);

function report(changes: Partial<Report>): Report {
  const totals = {
    ...NOTHING,
    issued: changes.issued?.length ?? 0,
    failed: changes.failed?.length ?? 0,
    customers: changes.customers?.length ?? 0,
    waiting: changes.waiting?.length ?? 0,
  };
  return {
    kind: "import",
    issued: [],
    failed: [],
    customers: [],
    waiting: [],
    totals,
    node: "lb1",
    ...changes,
  };
}

const issued = (name: string, more: string[] = []) => ({
  name,
  names: [name, ...more],
  notAfter: UNTIL,
  serial: "0AFE",
});
const failed = (name: string, sentence = "Port 80 does not answer.") => ({
  name,
  sentence,
  whatToDo: `When that is mended: certherd retry ${name}`,
});

describe("what waits for the owners of names", () => {
  const customers = [
    { name: "a.example", sentence: "a.example A 192.0.2.1 is to be set; today it is 198.51.100.9." },
  ];

  it("stands in a part of its own, and does not count as failed", () => {
    const { subject, text } = render(report({ customers, source: "demo.csv" }));
    expect(subject).toBe("Certherd: 0 issued, 1 waiting for their owners (demo.csv)");
    expect(text).toContain("Waiting for their owners to change DNS; they go on by themselves (1)");
    expect(text).toContain("a.example A 192.0.2.1 is to be set");
    expect(text).not.toContain("Failed");
  });

  it("is the subject of a mail about one certificate", () => {
    expect(render(report({ kind: "each", customers })).subject).toBe(
      "Certherd: a.example waits for its owner: a.example A 192.0.2.1 is to be set; today it is 198.51.100.9",
    );
  });
});

it("a notice says what it has to say, in one line of subject, whatever it holds", () => {
  const { subject, text } = renderNotice(
    { title: "Orders are\r\npaused", detail: "Because <of> this." },
    "lb1",
  );
  expect(subject).toBe("Certherd: Orders are paused");
  expect(text).toContain("Because <of> this.");
});

describe("subjects", () => {
  const subject = (changes: Partial<Report>) => render(report(changes)).subject;

  it("counts what an import has led to", () => {
    const lines = { issued: [issued("a.example")], failed: [failed("b.example"), failed("c.example")] };
    const source = "/srv/lists/demo.csv";
    expect(subject({ ...lines, source })).toBe("Certherd: 1 issued, 2 failed (demo.csv)");
    const totals = { ...NOTHING, issued: 47, waiting: 3, underway: 1 };
    expect(subject({ totals, source: "C:\\lists\\demo.csv" })).toBe(
      "Certherd: 47 issued, 3 waiting, 1 on their way (demo.csv)",
    );
    expect(subject({})).toBe("Certherd: 0 issued");
  });

  it("says who needs a person", () => {
    const one = { kind: "now", failed: [failed("a.example", "The CAA record forbids it.")] } as const;
    expect(subject(one)).toBe("Certherd: a.example needs you: The CAA record forbids it");
    const totals = { ...NOTHING, failed: 12 };
    expect(subject({ ...one, totals })).toBe("Certherd: 12 certificates need you");
  });

  it("names the certificate that a mail is about", () => {
    expect(subject({ kind: "each", issued: [issued("a.example")] })).toBe("Certherd: a.example issued");
    expect(subject({ kind: "each", failed: [failed("a.example", "No DNS record.")] })).toBe(
      "Certherd: a.example failed: No DNS record",
    );
    expect(subject({ kind: "later", issued: [issued("a.example")] })).toBe(
      "Certherd: 1 issued since the last mail",
    );
  });

  it("is one short line, whatever the reason holds", () => {
    const sentence = `Refused\r\nBcc: all@example.com\u2028\u202e${"long ".repeat(100)}`;
    const line = subject({ kind: "now", failed: [failed("a.example", sentence)] });
    expect(line).toMatch(/^Certherd: a\.example needs you: Refused Bcc: all@example\.com long/);
    expect(line).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028]/u);
    expect(line.length).toBeLessThan(140);
    expect(subject({ source: "x\r\nTo: y.csv" })).toBe("Certherd: 0 issued (x To: y.csv)");
  });
});

describe("the body", () => {
  it("tells what was issued, what failed and when it is tried again, and what waits", () => {
    const { text, html } = render(
      report({
        source: "demo.csv",
        importCounts: { ...NO_COUNTS, rows: 6, accepted: 4, duplicates: 1, rejectedRows: 1 },
        issued: [issued("a.example", ["www.a.example"])],
        failed: [{ ...failed("b.example"), until: UNTIL, validUntil: UNTIL + 1_000 }],
        waiting: [{ name: "c.example", sentence: "50 a week for example.", until: UNTIL }],
        totals: { issued: 1, failed: 1, customers: 0, waiting: 1, underway: 1, stopped: 2 },
      }),
    );
    for (const part of [
      "1 issued, 1 failed, 1 waiting, 1 on their way (demo.csv)",
      "The file demo.csv has 6 rows: 4 ordered, 0 there already, 1 repeated, 1 rejected.",
      "1 certificate on the way again.",
      "2 certificates paused or removed.",
      "Issued (1)",
      "for a.example, www.a.example",
      "valid until 2026-09-30T12:00:05Z",
      "serial 0AFE",
      "Failed (1)",
      "Port 80 does not answer.",
      "Tried again at 2026-09-30T12:00:05Z.",
      "certherd retry b.example",
      "The certificate in use is valid until 2026-09-30T12:00:06Z.",
      "Waiting for a limit of the CA (1)",
      "50 a week for example.",
      "Goes on by itself at 2026-09-30T12:00:05Z.",
      "Certherd on lb1",
    ]) {
      expect(text).toContain(part);
      expect(html).toContain(part);
    }
  });

  it("is escaped, and stays within its lines", () => {
    const sentence = `<script>alert("1")</script>\n  z.example\u0007 & 'co'`;
    const { text, html } = render(report({ failed: [failed("a.example", sentence)] }));
    expect(html).toContain("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; z.example &amp; &#39;co&#39;");
    expect(html).not.toContain("<script");
    expect(text).toContain(`    <script>alert("1")</script> z.example & 'co'\n`);
    expect(text).not.toMatch(/[^\P{Cc}\n]/u);
  });

  it("loads nothing from outside", () => {
    const { html } = render(report({ issued: [issued("a.example")] }));
    expect(html).not.toMatch(/https?:|src=|href=|url\(|<style|<link/);
  });

  it("lists the first 500 of each kind, and says how to see the rest", () => {
    const names = Array.from({ length: 600 }, (_, index) => `n${index}.example`);
    const { text, html } = render(
      report({
        issued: names.map((name) => issued(name)),
        failed: names.map((name) => failed(name)),
        totals: { ...NOTHING, issued: 4_000, failed: 600 },
      }),
    );
    expect(text.match(/serial 0AFE/g)).toHaveLength(MAX_LINES);
    expect(text.match(/certherd retry n/g)).toHaveLength(MAX_LINES);
    expect(text).toContain("and 3500 more; certherd list --status issued");
    expect(html).toContain("and 100 more; certherd list --status attention");
  });

  it("names ten names of a certificate at most", () => {
    const more = Array.from({ length: 99 }, (_, index) => `w${index}.a.example`);
    const { text } = render(report({ issued: [issued("a.example", more)] }));
    expect(text).toContain("w8.a.example, and 90 more");
    expect(text).not.toContain("w9.a.example");
  });
});
