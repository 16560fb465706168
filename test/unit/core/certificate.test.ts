import { describe, expect, it } from "vitest";
import {
  certificateId,
  isRetriable,
  isSettled,
  namesKey,
  REASONS,
  type Reason,
  STATUSES,
  type Status,
} from "../../../src/core/certificate.ts";
import { rfc3339 } from "../../../src/core/clock.ts";
import { certificateDocument } from "../../../src/core/documents.ts";

type Place = `${Status}` | `waiting for ${Reason}`;

/** Every place a certificate can be in. */
const PLACES: readonly Place[] = [
  ...STATUSES.filter((status) => status !== "waiting"),
  ...REASONS.map((reason) => `waiting for ${reason}` as const),
];

function stateOf(place: Place): { status: Status; reason?: Reason } {
  const [status, reason] = place.split(" for ") as [Status, Reason | undefined];
  return reason === undefined ? { status } : { status, reason };
}

describe("isSettled", () => {
  const settled: readonly Place[] = [
    "issued",
    "serving",
    "attention",
    "paused",
    "removed",
    "waiting for retry",
    "waiting for customer",
    "waiting for node",
  ];

  it.each(PLACES)("%s", (place) => {
    expect(isSettled(stateOf(place))).toBe(settled.includes(place));
  });
});

describe("isRetriable", () => {
  const retriable: readonly Place[] = [
    "attention",
    ...REASONS.filter((reason) => reason !== "limit").map((reason) => `waiting for ${reason}` as const),
  ];

  it.each(PLACES)("%s", (place) => {
    expect(isRetriable(stateOf(place))).toBe(retriable.includes(place));
  });
});

describe("certificateId", () => {
  it.each([
    ["www.example.com", "www.example.com"],
    ["*.example.com", "_.example.com"],
  ])("%s → %s", (name, id) => {
    expect(certificateId(name)).toBe(id);
  });
});

describe("namesKey", () => {
  it("is the same for the same names in any order, and leaves the list as it was", () => {
    const names = ["b.example", "a.example", "c.example"];
    expect(namesKey(names)).toBe(namesKey(["a.example", "b.example", "c.example"]));
    expect(names).toEqual(["b.example", "a.example", "c.example"]);
  });

  it("differs for any other set", () => {
    const sets = [
      ["a.example"],
      ["b.example"],
      ["a.example", "b.example"],
      ["*.a.example"],
      ["a.example.b.example"],
    ];
    expect(new Set(sets.map(namesKey)).size).toBe(sets.length);
  });

  it("is short and safe in a key of Redis", () => {
    expect(namesKey(["a.example"])).toMatch(/^[A-Za-z0-9_-]{22}$/);
  });
});

it("writes times as RFC 3339 in UTC, in whole seconds", () => {
  expect(rfc3339(Date.UTC(2026, 7, 28, 14, 15, 1, 999))).toBe("2026-08-28T14:15:01Z");
});

describe("certificateDocument", () => {
  const spec = {
    names: ["*.example.com", "example.com"],
    vipPort: 443,
    acmePort: 8888,
    keyType: "ec256",
    challenge: "http-01",
    priority: 50,
  } as const;
  const record = {
    id: "_.example.com",
    spec: { ...spec, names: [...spec.names] },
    generation: 3,
    acceptedAt: 0,
    attempts: 0,
  };

  it("leaves out what is not known, and gives the name as it was asked for", () => {
    expect(certificateDocument({ ...record, status: "queued" })).toEqual({
      name: "*.example.com",
      names: ["*.example.com", "example.com"],
      status: "queued",
      attempts: 0,
      nodes: [],
    });
  });

  it("gives every time of the leaf and the wait in RFC 3339", () => {
    const leaf = { notBefore: 0, notAfter: 90_000, issuer: "E7", serial: "0AB1", renewAt: 60_000 };
    const document = certificateDocument({
      ...record,
      status: "waiting",
      reason: "retry",
      until: 120_000,
      leaf,
    });
    expect(document).toMatchObject({
      reason: "retry",
      until: "1970-01-01T00:02:00Z",
      notBefore: "1970-01-01T00:00:00Z",
      notAfter: "1970-01-01T00:01:30Z",
      renewAt: "1970-01-01T00:01:00Z",
      issuer: "E7",
      serial: "0AB1",
    });
  });
});
