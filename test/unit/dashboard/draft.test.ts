import { describe, expect, it } from "vitest";
import { NO_HEADER } from "../../../src/dashboard/wizard/cells.ts";
import {
  type Checked,
  contentOf,
  type Draft,
  isOpen,
  isStale,
  NEW_DRAFT,
  STEPS,
  sourceOf,
  withContent,
} from "../../../src/dashboard/wizard/draft.ts";
import { importLabel, sentences } from "../../../src/dashboard/wizard/sentences.ts";

const NOW = Date.parse("2026-08-01T12:00:00Z");
const edits = new Map();

const checked: Checked = {
  rows: 20,
  accepted: 17,
  duplicates: 0,
  unchanged: 0,
  retried: 0,
  updated: 0,
  rejected: 3,
  warnings: [],
  plan: {
    orders: 17,
    firstAt: "2026-08-01T12:00:00Z",
    halfAt: null,
    lastAt: null,
    finishesAt: "2026-08-01T15:00:00Z",
    limits: [],
    advice: [],
  },
  curve: { x: [], y: [] },
  byCa: new Map([["letsencrypt", 17]]),
  survey: { columns: NO_HEADER, faulty: [], mailTo: new Map(), cas: new Map() },
  edits,
};
const draft: Draft = { ...NEW_DRAFT, how: "text", text: "a.example\n", edits, checked };

const open = (of: Draft): string[] => STEPS.filter((step) => isOpen(step, of));

it("a step can be gone to once there is enough for it", () => {
  expect(open(NEW_DRAFT)).toEqual(["file"]);
  expect(open(draft)).toEqual(["file", "rows", "names", "confirm"]);
  expect(open({ ...draft, checked: { ...checked, accepted: 0 } })).toEqual(["file", "rows"]);
  const changed = { ...draft, edits: new Map() };
  expect(isStale(changed)).toBe(true);
  expect(open(changed)).toEqual(["file", "rows"]);
});

it("another content makes what was found out useless", () => {
  const other = withContent(draft, { text: "b.example" });
  expect(other).toMatchObject({ text: "b.example", checked: undefined, triage: undefined });
  expect(contentOf(withContent(draft, { text: "  \n" }))).toBeUndefined();
  expect(sourceOf(draft)).toBe("pasted");
  expect(sourceOf({ ...draft, source: " mine " })).toBe("mine");
});

describe("says before it does", () => {
  it("how many go where, until when, and what is left out", () => {
    expect(sentences(draft, checked, "le", NOW)).toEqual([
      "17 certificates are ordered at letsencrypt.",
      "All that can be ordered should be done in 3 hours.",
      "The names were not checked: those that do not lead here wait, or are refused by the CA.",
      "No row asks for mail.",
      "3 rows have faults and are not taken in; they can be downloaded afterwards, mended, and imported again.",
    ]);
    expect(importLabel(checked)).toBe("Import 17 certificates, leave 3 rows out");
    expect(importLabel({ ...checked, accepted: 1, rejected: 0 })).toBe("Import 1 certificate");
  });

  it("who is written to, who has to act, and what is there already", () => {
    const mailTo = new Map(Array.from({ length: 6 }, (_, n) => [`${n}@x.example`, 1]));
    const found = {
      ...checked,
      rejected: 0,
      unchanged: 3,
      updated: 1,
      survey: { ...checked.survey, mailTo },
    };
    const triage = {
      certificates: 17,
      ready: 14,
      customer: 2,
      node: 0,
      blocked: 1,
      rejected: 0,
      waiting: [],
    };
    const said = sentences({ ...draft, notify: "digest", triage }, found, "le", NOW);
    expect(said).toContain(
      "2 certificates wait for the owner of the domain, and are ordered as soon as the DNS is right.",
    );
    expect(said).toContain("1 certificate needs somebody here to act, and is listed as such.");
    expect(said).toContain(
      "One mail when all is settled goes to 0@x.example, 1@x.example, 2@x.example, 3@x.example, 4@x.example and 1 address more.",
    );
    expect(said).toContain("1 certificate that is there gets its new values.");
    expect(said).toContain("2 rows ask for what is there already, and change nothing.");
    expect(sentences({ ...draft, notify: "off" }, found, "le", NOW)).toContain(
      "No mail is sent, though rows ask for it.",
    );
  });
});
