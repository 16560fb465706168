import { describe, expect, it } from "vitest";
import { refusalOf } from "../../../src/limits/refusals.ts";
import { limitedAnswer } from "../../support/boulder-answers.ts";
import type { OrderLimit } from "../../support/boulder-limits.ts";

function sentence(limit: OrderLimit, key: string): string {
  const of = { count: 5, periodMs: 168 * 3_600_000 };
  const { body } = limitedAnswer({ limit, of, key, retryIn: 60_000 }, Date.UTC(2026, 10, 25), "nonce");
  return (JSON.parse(body.toString()) as { detail: string }).detail;
}

describe("which bucket Boulder's refusal is about", () => {
  it.each<[OrderLimit, string, string]>([
    ["newOrders", "42", ""],
    ["certificatesPerDomain", "example.co.uk", "example.co.uk"],
    ["certificatesPerNameSet", "a.example,b.example", ""],
    ["failedAuthorizations", "www.a.example", "www.a.example"],
  ])("%s", (limit, key, subject) => {
    expect(refusalOf(sentence(limit, key))).toEqual({ limit, subject });
  });

  /** Word for word, as Boulder and its documentation have them; older ones of 2024 say "domains" for "identifiers". */
  it.each([
    [
      "too many new registrations (10) from this IP address in the last 3h0m0s, retry after 2026-11-25 10:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/#new-registrations-per-ip-address",
      { limit: "newRegistrations", subject: "" },
    ],
    [
      "too many new registrations (500) from this /48 subnet of IPv6 addresses in the last 3h0m0s, retry after 2026-11-25 10:00:00 UTC",
      { limit: "newRegistrations", subject: "" },
    ],
    [
      "too many new orders (300) from this account in the last 3h0m0s, retry after 2026-11-25 10:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/#new-orders-per-account",
      { limit: "newOrders", subject: "" },
    ],
    [
      "too many certificates (5) already issued for this exact set of domains in the last 168h0m0s, retry after 2026-11-25 10:00:00 UTC",
      { limit: "certificatesPerNameSet", subject: "" },
    ],
    [
      "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s",
      { limit: "certificatesPerNameSet", subject: "" },
    ],
    [
      'Error creating new order :: too many certificates (50) already issued for "Example.COM" in the last 168h0m0s',
      { limit: "certificatesPerDomain", subject: "example.com" },
    ],
  ])("%s", (text, refusal) => {
    expect(refusalOf(text)).toEqual(refusal);
  });

  it.each(["", "slow down", "Rate limit exceeded.", 'Too many requests for "a.example".'])(
    "%j, of which nothing is known, is taken for the account's new orders",
    (text) => {
      expect(refusalOf(text)).toEqual({ limit: "newOrders", subject: "" });
    },
  );
});
