import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Examined, examine } from "../../../src/adopt/examine.ts";
import type { Found } from "../../../src/adopt/found.ts";
import { generateKey } from "../../../src/pki/keys.ts";
import { makeTestCa, type TestCa } from "../../support/chains.ts";

const DAY = 86_400_000;

let ca: TestCa;
let keyPem: string;
let leafPem: string;

beforeAll(async () => {
  ca = await makeTestCa();
  keyPem = await generateKey("ec256");
  leafPem = ca.leaf(keyPem, ["DNS:a.example", "DNS:www.a.example"]);
}, 120_000);

afterAll(() => ca.stop());

function look(more: Partial<Found> = {}, now = Date.now()): Examined {
  const found: Found = {
    entry: "a.example",
    name: "a.example",
    leafPem,
    issuersPem: ca.intermediatePem,
    keyPem,
    challenge: "http-01",
    first: true,
    afterRenewal: { commands: [], copies: [] },
    ...more,
  };
  return examine(found, now);
}

function withKey(pem: string, names = ["DNS:a.example"]): Partial<Found> {
  return { keyPem: pem, leafPem: ca.leaf(pem, names) };
}

describe("what can be taken over", () => {
  it("is told as if it had been issued here", () => {
    expect(look()).toMatchObject({
      id: "a.example",
      names: ["a.example", "www.a.example"],
      keyType: "ec256",
      leaf: { issuer: "Test E7", serial: "0A1B2C3D" },
      leafPem,
      issuersPem: ca.intermediatePem,
      keyPem,
    });
  });

  it("is renewed when a third of its lifetime is left", () => {
    const { notBefore, notAfter, renewAt } = look().leaf;
    expect(renewAt).toBe(Math.round(notAfter - (notAfter - notBefore) / 3));
  });

  it("has a key of PKCS #8, whatever it was", () => {
    const sec1 = createPrivateKey(keyPem).export({ type: "sec1", format: "pem" }).toString();
    expect(look({ keyPem: sec1 }).keyPem).toBe(keyPem);
  });

  it("may have Windows' line ends, and a root behind its issuers", () => {
    const crlf = (pem: string) => pem.replaceAll("\n", "\r\n");
    const { issuersPem } = look({
      leafPem: crlf(leafPem),
      issuersPem: crlf(ca.intermediatePem + ca.rootPem),
    });
    expect(issuersPem).toBe(ca.intermediatePem + ca.rootPem);
  });

  it("goes by the name that the client calls it by", () => {
    expect(look({ name: "www.a.example" }).names).toEqual(["www.a.example", "a.example"]);
    expect(look({ name: "a.example-0001" }).names[0]).toBe("a.example");
    expect(look({ name: "customers" }).names[0]).toBe("a.example");
  });

  it("goes by the wildcard over that name", () => {
    const wildcard = withKey(keyPem, ["DNS:x.a.example.org", "DNS:*.example.org"]);
    expect(look({ ...wildcard, name: "example.org" })).toMatchObject({ id: "_.example.org" });
  });

  it.each(["ec384", "rsa2048"] as const)("is renewed with a key of its own type: %s", async (type) => {
    expect(look(withKey(await generateKey(type)))).toMatchObject({ keyType: type });
  });

  it("is renewed with the nearest where its type is none of ours", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-521" });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    expect(look(withKey(pem))).toMatchObject({ keyType: "ec384", oddKey: "EC on secp521r1" });
  });
});

describe("what cannot be taken over", () => {
  const refusal = (more: () => Partial<Found>, now?: number): unknown => {
    try {
      look(more(), now);
      return undefined;
    } catch (error) {
      return error;
    }
  };

  it.each<[string, string, () => Partial<Found>]>([
    ["no PEM", "adopt_bad_pem", () => ({ leafPem: "<html>" })],
    ["a broken certificate", "adopt_bad_pem", () => ({ leafPem: leafPem.replace(/\n[^-]{30}/, "\n") })],
    ["a broken key", "adopt_bad_pem", () => ({ keyPem: keyPem.slice(0, 60) })],
    [
      "an encrypted key",
      "adopt_key_encrypted",
      () => ({
        keyPem: createPrivateKey(keyPem)
          .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" })
          .toString(),
      }),
    ],
    [
      "an encrypted key of the old form",
      "adopt_key_encrypted",
      () => ({
        keyPem: createPrivateKey(keyPem)
          .export({ type: "sec1", format: "pem", cipher: "aes-256-cbc", passphrase: "x" })
          .toString(),
      }),
    ],
    ["no chain", "adopt_no_chain", () => ({ issuersPem: "" })],
    ["another's chain", "adopt_bad_chain", () => ({ issuersPem: ca.rootPem })],
    ["a chain upside down", "adopt_bad_chain", () => ({ issuersPem: ca.rootPem + ca.intermediatePem })],
    ["no names", "adopt_bad_name", () => withKey(keyPem, [])],
    ["an address", "adopt_bad_name", () => withKey(keyPem, ["DNS:a.example", "IP:192.0.2.1"])],
    ["a name that cannot be ordered", "adopt_bad_name", () => withKey(keyPem, ["DNS:a_b.example"])],
    [
      "more names than an order may have",
      "adopt_bad_name",
      () =>
        withKey(
          keyPem,
          Array.from({ length: 101 }, (_, i) => `DNS:n${i}.a.example`),
        ),
    ],
  ])("%s: %s", (_, code, more) => {
    expect(refusal(more)).toMatchObject({ code, disposition: "attention" });
  });

  it("a key of another certificate", async () => {
    const other = await generateKey("ec256");
    expect(refusal(() => ({ keyPem: other }))).toMatchObject({ code: "adopt_key_mismatch" });
  });

  it("one that has ended, or begins later", () => {
    expect(refusal(() => ({}), Date.now() + 91 * DAY)).toMatchObject({ code: "adopt_expired" });
    expect(refusal(() => ({}), Date.now() - DAY)).toMatchObject({ code: "adopt_not_yet_valid" });
  });

  it("says nothing of what a broken key's file holds", () => {
    const error = refusal(() => ({
      keyPem: "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----",
    }));
    expect(JSON.stringify([String(error), error])).not.toContain("SECRET");
  });
});
