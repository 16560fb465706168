/** The sentence for the moment of a renewal says what has chosen it. */
import { expect, it } from "vitest";
import { RENEWAL, renewAtOf } from "../../../src/renewal/policy.ts";
import { whyRenewed } from "../../../src/renewal/why.ts";
import { makeSpec } from "../../support/specs.ts";

const DAY = 86_400_000;
const spec = makeSpec("a.example");
const begins = Date.UTC(2026, 0, 1);
const leafFor = (days: number, renewAt = begins + days * DAY * 0.6) => ({
  notBefore: begins,
  notAfter: begins + days * DAY,
  issuer: "E7",
  serial: "0A",
  renewAt,
});

it("names the part of the lifetime where the CA says nothing", () => {
  expect(whyRenewed({ spec, leaf: leafFor(90) }, RENEWAL)).toContain("a third of its lifetime");
  expect(whyRenewed({ spec, leaf: leafFor(6) }, RENEWAL)).toContain("half of its lifetime");
  expect(whyRenewed({ spec }, RENEWAL)).toBeUndefined();
});

it("names the window, and where the CA says why", () => {
  const window = { start: begins + 50 * DAY, end: begins + 60 * DAY };
  const within = leafFor(90, begins + 55 * DAY);
  expect(whyRenewed({ spec, leaf: within, schedule: { window } }, RENEWAL)).toBe(
    "The CA suggests to renew it from 2026-02-20T00:00:00Z to 2026-03-02T00:00:00Z.",
  );
  const schedule = { window, explanationUrl: "https://ca.example/incident" };
  expect(whyRenewed({ spec, leaf: within, schedule }, RENEWAL)).toMatch(/; why: https:\S+incident\.$/);
  expect(whyRenewed({ spec, leaf: leafFor(90, begins), schedule }, RENEWAL)).toContain("late for it");
  expect(whyRenewed({ spec, leaf: leafFor(90, begins + 61 * DAY), schedule }, RENEWAL)).toContain("is over");
});

it("names renewBefore where that has chosen the moment, whatever the CA suggests", () => {
  const policy = { ...RENEWAL, renewBefore: 20 * DAY };
  const leaf = { ...leafFor(90), renewAt: renewAtOf(leafFor(90), "a.example", policy) };
  const schedule = { window: { start: begins + 50 * DAY, end: begins + 60 * DAY } };
  expect(whyRenewed({ spec, leaf, schedule }, policy)).toContain("renewBefore");
  // Moved forward by the CA.
  expect(whyRenewed({ spec, leaf: leafFor(90, begins + 51 * DAY), schedule }, policy)).toContain(
    "The CA suggests",
  );
});
