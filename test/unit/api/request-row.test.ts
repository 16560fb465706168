import { describe, expect, it } from "vitest";
import { RequestError } from "../../../src/api/problems.ts";
import { specOf } from "../../../src/api/request-row.ts";
import type { CertificateRequest } from "../../../src/api/schemas/certificates.ts";

const CONTEXT = { knownCas: ["letsencrypt", "zerossl"], dns01: false };

function errorsOf(body: CertificateRequest) {
  try {
    specOf(body, CONTEXT);
  } catch (error) {
    if (error instanceof RequestError) return error.errors;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("specOf", () => {
  it("fills in what a CSV's row would have", () => {
    expect(specOf({ names: ["WWW.Example.com"] }, CONTEXT)).toEqual({
      names: ["www.example.com"],
      vipPort: 443,
      acmePort: 8888,
      keyType: "ec256",
      challenge: "http-01",
      priority: 50,
    });
  });

  it("takes all fields over", () => {
    const body: CertificateRequest = {
      names: ["a.example.com", "bücher.example"],
      vipPort: 8443,
      acmePort: 9999,
      mail: { from: "f@example.com", to: "t@example.com", relay: "mx.example.com", port: 587 },
      ca: "ZeroSSL",
      profile: "tlsserver",
      keyType: "rsa2048",
      challenge: "http-01",
      priority: "high",
    };
    expect(specOf(body, CONTEXT)).toEqual({
      ...body,
      names: ["a.example.com", "xn--bcher-kva.example"],
      ca: "zerossl",
      priority: 10,
    });
  });

  it("names the body's fields, each with its value and what to do", () => {
    const errors = errorsOf({
      names: ["nonsense", "a.example.com"],
      vipPort: 70_000,
      acmePort: -1,
      mail: { to: "ops" },
      ca: "other",
      priority: 0,
    });
    const fields = errors.map(({ field }) => field);
    expect(new Set(fields)).toEqual(
      new Set(["names", "vipPort", "acmePort", "mail.to", "mail.relay", "mail.from", "ca", "priority"]),
    );
    expect(errors.find(({ field }) => field === "vipPort")?.value).toBe("70000");
    for (const { reason } of errors) expect(reason).not.toMatch(/Addr|RELAYPort|VIPPort/);
  });
});
