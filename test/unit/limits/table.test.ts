import { describe, expect, it } from "vitest";
import { emission } from "../../../src/limits/gcra.ts";
import { LIMITS, limitsOf, REQUEST_CLASSES } from "../../../src/limits/table.ts";

const HOUR = 3_600_000;

describe("Let's Encrypt's limits, as its documentation states them", () => {
  const { certificates, requests } = limitsOf("letsencrypt");

  it.each([
    ["newOrders", 300, 3 * HOUR, 36_000],
    ["certificatesPerDomain", 50, 168 * HOUR, 12_096_000],
    ["certificatesPerNameSet", 5, 168 * HOUR, 120_960_000],
    ["failedAuthorizations", 5, HOUR, 720_000],
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
  ] as const)("%s: %d requests a second", (name, count) => {
    expect(requests[name]).toEqual({ count, period: 1_000 });
  });

  it("names every class of endpoint, so that none goes unpaced", () => {
    for (const known of Object.values(LIMITS)) expect(Object.keys(known.requests)).toEqual(REQUEST_CLASSES);
  });
});

describe("Let's Encrypt's staging limits", () => {
  const { certificates, requests } = limitsOf("letsencrypt-staging");

  it("are its own, not production's", () => {
    expect(certificates.newOrders).toEqual({ count: 1_500, period: 3 * HOUR });
    expect(certificates.failedAuthorizations).toEqual({ count: 200, period: HOUR });
    expect(requests.newOrder).toEqual({ count: 20, period: 1_000 });
    expect(requests.acme).toEqual({ count: 20, period: 1_000 });
  });
});

describe("limitsOf", () => {
  it("holds a CA that it does not know to five failed validations an hour, and to nothing else", () => {
    expect(limitsOf("ca.example")).toEqual({
      certificates: { failedAuthorizations: { count: 5, period: HOUR } },
      requests: {},
    });
  });

  it("takes over only what the configuration says differently", () => {
    const newOrders = { count: 10, period: 1_000 };
    const limits = limitsOf("letsencrypt", { newOrders });
    expect(limits.certificates).toEqual({ ...LIMITS.letsencrypt?.certificates, newOrders });
    expect(limits.requests).toEqual(LIMITS.letsencrypt?.requests);
    expect(LIMITS.letsencrypt?.certificates.newOrders?.count).toBe(300);
  });

  it("gives a CA that it does not know the limits that the configuration names", () => {
    const newOrders = { count: 10, period: 1_000 };
    expect(limitsOf("ca.example", { newOrders }).certificates.newOrders).toEqual(newOrders);
  });
});
