import { describe, expect, it } from "vitest";
import { namesKey } from "../../../src/core/certificate.ts";
import { bucketOf, bucketsOf, domainOf, exemptionOf } from "../../../src/limits/buckets.ts";
import { limitsOf } from "../../../src/limits/table.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 25);
const LETSENCRYPT = limitsOf("letsencrypt");

const shown = (names: string[], ...more: [exemption?: "none" | "renewal" | "ari"]) =>
  bucketsOf(names, LETSENCRYPT, more[0] ?? "none")
    .map(({ limit, subject }) => `${limit} ${subject}`.trim())
    .sort();

describe("the buckets of an order", () => {
  it("are the account's, one for each registered domain, and that of the set", () => {
    const names = ["www.a.example", "a.example", "b.co.uk", "x.y.b.co.uk", "*.c.example"];
    expect(shown(names)).toEqual([
      "certificatesPerDomain a.example",
      "certificatesPerDomain b.co.uk",
      "certificatesPerDomain c.example",
      `certificatesPerNameSet ${namesKey(names)}`,
      "newOrders",
    ]);
  });

  it("name the account's first, which has no waiting room", () => {
    expect(bucketsOf(["a.example"], LETSENCRYPT, "none")[0]).toMatchObject({
      limit: "newOrders",
      subject: "",
    });
  });

  it("know private suffixes: each user of a hosting service is a registered domain", () => {
    expect(shown(["a.github.io", "b.github.io"]).slice(0, 2)).toEqual([
      "certificatesPerDomain a.github.io",
      "certificatesPerDomain b.github.io",
    ]);
  });

  it("of a renewal of the same names are that of the set alone, and of one by ARI none", () => {
    expect(shown(["a.example"], "renewal")).toEqual([`certificatesPerNameSet ${namesKey(["a.example"])}`]);
    expect(shown(["a.example"], "ari")).toEqual([]);
  });

  it("are the same for the same names in another order", () => {
    expect(shown(["a.example", "b.example"])).toEqual(shown(["b.example", "a.example"]));
  });

  it("have the CA's burst, but for one order that stays in hand", () => {
    expect(bucketOf(LETSENCRYPT, "newOrders", "")).toMatchObject({ emission: 36_000, burst: 299 });
    expect(bucketOf(LETSENCRYPT, "certificatesPerDomain", "a.example")).toMatchObject({
      emission: 12_096_000,
      burst: 50,
    });
    const single = limitsOf("ca", { certificates: { newOrders: { count: 1, period: HOUR } } });
    expect(bucketOf(single, "newOrders", "")).toMatchObject({ emission: HOUR, burst: 1 });
  });

  it("of a domain with a limit of its own have that one", () => {
    const own = limitsOf("letsencrypt", { domains: { "big.example": { count: 7, period: 7 * DAY } } });
    expect(bucketOf(own, "certificatesPerDomain", "big.example")).toMatchObject({ emission: DAY, burst: 7 });
    expect(bucketOf(own, "certificatesPerDomain", "small.example")).toMatchObject({ burst: 50 });
  });

  it("that a CA is not known to limit hold nobody back: a thousand a second, and as many at once", () => {
    const { emission, burst } = bucketOf(limitsOf("ca.example"), "certificatesPerDomain", "a.example");
    expect({ emission, burst }).toEqual({ emission: 1, burst: 1_000 });
  });
});

it.each([
  ["www.example.com", "example.com"],
  ["*.example.co.uk", "example.co.uk"],
  ["example.com", "example.com"],
  ["a.b.user.github.io", "user.github.io"],
])("%s counts for %s", (name, domain) => {
  expect(domainOf(name)).toBe(domain);
});

describe("what a renewal need not pay for", () => {
  const names = ["a.example", "b.example"];
  const leaf = { ca: "letsencrypt", set: namesKey(names), issuedAt: NOW - 60 * DAY };
  const exemption = (more: object, limits = LETSENCRYPT, of = names) =>
    exemptionOf(of, { ...leaf, ...more }, "letsencrypt", limits, NOW);

  it("is known by the same CA, the same names in any order, and a certificate not older than 119 days", () => {
    expect(exemption({})).toBe("renewal");
    expect(exemption({}, LETSENCRYPT, [...names].reverse())).toBe("renewal");
    expect(exemption({ issuedAt: NOW - 119 * DAY + 1 })).toBe("renewal");
  });

  it.each([
    ["another CA's certificate", { ca: "zerossl" }],
    ["other names", { set: namesKey(["a.example"]) }],
    ["119 days", { issuedAt: NOW - 119 * DAY }],
    ["a certificate of which it is not known when it was obtained", { issuedAt: undefined }],
    ["a certificate of an earlier version's file", { ca: undefined, set: undefined, issuedAt: undefined }],
  ])("is nothing for %s", (_, more) => {
    expect(exemption(more)).toBe("none");
  });

  it("is nothing for a first certificate, nor at a CA that exempts none", () => {
    expect(exemptionOf(names, undefined, "letsencrypt", LETSENCRYPT, NOW)).toBe("none");
    expect(exemption({}, limitsOf("letsencrypt", { renewalsExempt: false }))).toBe("none");
    expect(exemptionOf(names, { ...leaf, ca: "zerossl" }, "zerossl", limitsOf("zerossl"), NOW)).toBe("none");
  });
});
