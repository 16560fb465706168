/** What a certificate's events tell: its way, its failures, who asked for what. */
import { expect, it } from "vitest";
import { failuresOf, requestsOf, stepsOf } from "../../../src/api/history.ts";
import type { CertificateEvent } from "../../../src/store/record.ts";

const acceptedAt = Date.UTC(2026, 0, 1, 12, 0, 0) + 700;
const at = (second: number): string => `2026-01-01T12:00:${String(second).padStart(2, "0")}Z`;
const events: CertificateEvent[] = [
  { at: "2025-12-31T12:00:00Z", what: "serving", status: "serving" },
  { at: at(0), what: "asked to renew", by: "api:crm" },
  { at: at(1), what: "ordering", status: "ordering" },
  { at: at(2), what: "validating" },
  { at: at(3), what: "failed", detail: "404", status: "waiting", code: "unauthorized" },
  { at: at(4), what: "waiting", detail: "429", status: "waiting", code: "rate_limited" },
  { at: at(5), what: "asked to pause", by: "cli:root", detail: "now" },
  { at: at(5), what: "paused", status: "paused" },
];

it("steps are those since it was asked for last, each once in a row", () => {
  const steps = stepsOf({ acceptedAt, status: "paused" }, events, acceptedAt + 5_000);
  expect(steps.map(({ status }) => status)).toEqual([
    "queued",
    "ordering",
    "validating",
    "waiting",
    "paused",
  ]);
  expect(steps[0]?.at).toBe(at(0));
});

it("steps end where it stands, though nothing told of that", () => {
  const steps = stepsOf({ acceptedAt, status: "checking" }, [], acceptedAt + 2_000);
  expect(steps).toEqual([
    { status: "queued", at: at(0) },
    { status: "checking", at: at(2) },
  ]);
});

it("failures are the newest first, without what only waits", () => {
  const old: CertificateEvent = { at: at(0), what: "not served", detail: "other serial" };
  expect(failuresOf([old, ...events])).toEqual([
    { at: at(3), code: "unauthorized", detail: "404" },
    { at: at(0), detail: "other serial" },
  ]);
});

it("requests are the newest first, with who has asked", () => {
  expect(requestsOf(events)).toEqual([
    { at: at(5), by: "cli:root", action: "pause", detail: "now" },
    { at: at(0), by: "api:crm", action: "renew" },
  ]);
});
