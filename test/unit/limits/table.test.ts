import { describe, expect, it } from "vitest";
import { emission } from "../../../src/limits/gcra.ts";
import { LIMITS, limitFor, limitsOf, REQUEST_CLASSES } from "../../../src/limits/table.ts";

const HOUR = 3_600_000;

describe("Let's Encrypt's limits, as its documentation states them", () => {
  const { certificates, requests } = limitsOf("letsencrypt");

  it.each([
    ["newOrders", 300, 3 * HOUR, 36_000],
    ["certificatesPerDomain", 50, 168 * HOUR, 12_096_000],
    ["certificatesPerNameSet", 5, 168 * HOUR, 120_960_000],
    ["failedAuthorizations", 5, HOUR, 720_000],
    ["newRegistrations", 10, 3 * HOUR, 1_080_000],
    ["consecutiveFailures", 1_152, 1_152 * 24 * HOUR, 24 * HOUR],
  ] as const)("%s: %d within %d ms, one back every %d ms", (name, count, period, every) => {
    const limit = certificates[name];
    expect(limit).toEqual({ count, period });
    expect(emission(limit ?? { count: 1, period: 1 })).toBe(every);
  });

  it.each([
    ["directory", 40],
    ["newNonce", 20],
    ["newOrder", 300],
    ["acme", 250],
    ["renewalInfo", 1_000],
    ["revokeCert", 10],
  ] as const)("%s: %d requests a second", (name, count) => {
    expect(requests[name]).toEqual({ count, period: 1_000 });
  });

  it("names every class of endpoint, so that none goes unpaced", () => {
    for (const ca of ["letsencrypt", "letsencrypt-staging"])
      expect(Object.keys(limitsOf(ca).requests)).toEqual(REQUEST_CLASSES);
  });
});

describe("Let's Encrypt's staging limits", () => {
  const { certificates, requests } = limitsOf("letsencrypt-staging");

  it("are its own, not production's", () => {
    expect(certificates.newOrders).toEqual({ count: 1_500, period: 3 * HOUR });
    expect(certificates.failedAuthorizations).toEqual({ count: 200, period: HOUR });
    expect(certificates.certificatesPerDomain).toEqual({ count: 30_000, period: 1_000 });
    expect(certificates.certificatesPerNameSet).toEqual({ count: 30_000, period: 168 * HOUR });
    expect(requests.newOrder).toEqual({ count: 20, period: 1_000 });
    expect(requests.acme).toEqual({ count: 20, period: 1_000 });
  });
});

describe("limitsOf", () => {
  it("holds a CA that it does not know to five failed validations an hour, and to nothing else", () => {
    expect(limitsOf("ca.example")).toEqual({
      certificates: { failedAuthorizations: { count: 5, period: HOUR } },
      domains: {},
      requests: {},
      renewalsExempt: false,
    });
  });

  it("takes over only what the configuration says differently", () => {
    const newOrders = { count: 10, period: 1_000 };
    const limits = limitsOf("letsencrypt", { certificates: { newOrders } });
    expect(limits.certificates).toEqual({ ...LIMITS.letsencrypt?.certificates, newOrders });
    expect(limits.requests).toEqual(LIMITS.letsencrypt?.requests);
    expect(limits.renewalsExempt).toBe(true);
    expect(limitsOf("letsencrypt", { renewalsExempt: false }).renewalsExempt).toBe(false);
    expect(LIMITS.letsencrypt?.certificates.newOrders?.count).toBe(300);
  });

  it("gives a CA that it does not know the limits that the configuration names", () => {
    const newOrders = { count: 10, period: 1_000 };
    expect(limitsOf("ca.example", { certificates: { newOrders } }).certificates.newOrders).toEqual(newOrders);
  });
});

describe.each(["zerossl", "google"])("%s, which publishes no limits", (ca) => {
  it("is held to five failed validations an hour, and told of the rest by its answers", () => {
    expect(limitsOf(ca)).toEqual(limitsOf("ca.example"));
  });
});

describe("limitFor", () => {
  const own = { count: 500, period: 168 * HOUR };
  const limits = limitsOf("letsencrypt", { domains: { "big.example": own } });

  it("is a registered domain's own where the CA has granted it one, and nobody else's", () => {
    expect(limitFor(limits, "certificatesPerDomain", "big.example")).toEqual(own);
    expect(limitFor(limits, "certificatesPerDomain", "small.example")).toMatchObject({ count: 50 });
    expect(limitFor(limits, "certificatesPerNameSet", "big.example")).toMatchObject({ count: 5 });
    expect(limitFor(limits, "newOrders", "big.example")).toMatchObject({ count: 300 });
  });

  it("is none where the CA has no such limit", () => {
    expect(limitFor(limitsOf("zerossl"), "certificatesPerDomain", "big.example")).toBeUndefined();
  });
});
