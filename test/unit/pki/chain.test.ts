import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkChain } from "../../../src/pki/chain.ts";
import { generateKey } from "../../../src/pki/keys.ts";
import { makeTestCa, type TestCa } from "../../support/chains.ts";

const NAMES = ["a.example", "*.b.example"];

let ca: TestCa;
let key: string;
let leaf: string;

beforeAll(async () => {
  ca = await makeTestCa();
  key = await generateKey("ec256");
  leaf = ca.leaf(key, ["DNS:a.example", "DNS:*.b.example"]);
}, 120_000);

afterAll(() => ca.stop());

function check(pem: string, { names = NAMES, now = Date.now() } = {}) {
  return checkChain(pem, key, names, now);
}

describe("a chain that is what was asked for", () => {
  it("is taken apart into the leaf and its issuers, each as PEM with a line's end", () => {
    const { leafPem, issuersPem } = check(leaf + ca.intermediatePem + ca.rootPem);
    expect(leafPem).toBe(leaf);
    expect(issuersPem).toBe(ca.intermediatePem + ca.rootPem);
  });

  it("may hold text, blank lines and CRLF between its certificates", () => {
    const pem = `\r\nsubject=\r\n${leaf}\n\n${ca.intermediatePem}\n`;
    expect(check(pem).issuersPem).toBe(ca.intermediatePem);
  });

  it.each(["0x01", "0x0fff", "0x0a1b2c3d", "0x87654321", "0xfedcba98765432100123456789abcdef0011"])(
    "tells the serial %s as openssl prints it",
    (serial) => {
      const pem = ca.leaf(key, ["DNS:a.example"], serial);
      const { leaf: facts } = check(pem + ca.intermediatePem, { names: ["a.example"] });
      const printed = ca.openssl(["x509", "-noout", "-serial"], pem).trim();
      expect(`serial=${facts.serial}`).toBe(printed);
    },
  );

  it("tells its validity, its issuer's common name and how the CA knows it", () => {
    const { leaf: facts } = check(leaf + ca.intermediatePem);
    const dates = ca.openssl(["x509", "-noout", "-startdate", "-enddate"], leaf);
    const [start, end] = [...dates.matchAll(/=(.+)/g)].map(([, date]) => Date.parse(date ?? ""));
    expect(facts).toMatchObject({ notBefore: start, notAfter: end, issuer: "Test E7" });
    expect(facts.certId).toMatch(/^[\w-]{27}\.[\w-]+$/);
  });

  it("may name its names in any order and case", () => {
    const pem = ca.leaf(key, ["DNS:*.B.example", "DNS:A.EXAMPLE"]);
    expect(check(pem + ca.intermediatePem).leaf.serial).toBe("0A1B2C3D");
  });

  it("is taken while this clock is behind by up to an hour", () => {
    const { notBefore, notAfter } = check(leaf + ca.intermediatePem).leaf;
    expect(() => check(leaf + ca.intermediatePem, { now: notBefore - 3_600_000 })).not.toThrow();
    expect(() => check(leaf + ca.intermediatePem, { now: notAfter - 1 })).not.toThrow();
  });
});

describe("a chain is refused, and ordered anew later, when it", () => {
  const refused = (pem: string, reason: RegExp, options?: { names?: string[]; now?: number }) => {
    expect(() => check(pem, options)).toThrow(
      expect.objectContaining({
        code: "bad_chain",
        disposition: "retry",
        message: expect.stringMatching(reason),
      }),
    );
  };

  it("is for another key", async () => {
    const other = ca.leaf(await generateKey("ec256"), ["DNS:a.example", "DNS:*.b.example"]);
    refused(other + ca.intermediatePem, /another key/);
    const rsa = ca.leaf(await generateKey("rsa2048"), ["DNS:a.example", "DNS:*.b.example"]);
    refused(rsa + ca.intermediatePem, /another key/);
  });

  it("lacks a name", () => {
    refused(leaf + ca.intermediatePem, /lacks the name c\.example, d\.example\.$/, {
      names: [...NAMES, "c.example", "d.example"],
    });
    refused(ca.leaf(key, []) + ca.intermediatePem, /lacks the name/);
  });

  it("holds a name that nobody asked for", () => {
    refused(leaf + ca.intermediatePem, /holds the name \*\.b\.example, which nobody asked for/, {
      names: ["a.example"],
    });
  });

  it("holds the name only as part of another name", () => {
    const pem = ca.leaf(key, ["DNS:a.example.evil.example", "DNS:*.b.example"]);
    refused(pem + ca.intermediatePem, /lacks the name a\.example\./);
  });

  it("is out of order", () => {
    refused(leaf + ca.rootPem + ca.intermediatePem, /out of order: certificate 1/);
    refused(leaf + ca.intermediatePem + leaf, /out of order: certificate 2/);
    refused(ca.intermediatePem + leaf, /another key/);
  });

  it("has ended", () => {
    const { notAfter } = check(leaf + ca.intermediatePem).leaf;
    refused(leaf + ca.intermediatePem, /has ended at .* GMT; check this host's clock/, { now: notAfter });
  });

  it("has not begun", () => {
    const { notBefore } = check(leaf + ca.intermediatePem).leaf;
    refused(leaf + ca.intermediatePem, /begins only at .* GMT; check this host's clock/, {
      now: notBefore - 3_600_001,
    });
  });

  it("comes without its issuer", () => {
    refused(leaf, /without its issuer/);
  });

  it.each([
    ["nothing", "", /holds no certificate/],
    ["HTML", "<html>busy</html>", /holds no certificate/],
    [
      "a broken certificate",
      "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
      /cannot be read/,
    ],
  ])("is %s", (_, pem, reason) => {
    refused(pem, reason);
  });

  it("is cut off in the middle", () => {
    refused(leaf + ca.intermediatePem.slice(0, 200), /without its issuer/);
  });
});
