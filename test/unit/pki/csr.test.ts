import { createPublicKey, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KeyType } from "../../../src/core/certificate.ts";
import { createCsr } from "../../../src/pki/csr.ts";
import { generateKey } from "../../../src/pki/keys.ts";
import { makeTestCa, type TestCa } from "../../support/chains.ts";

let ca: TestCa;

beforeAll(async () => {
  ca = await makeTestCa();
}, 120_000);

afterAll(() => ca.stop());

/** What openssl reads in it; throws unless the signature is good. */
function readCsr(csr: string): { text: string; names: string[]; publicKey: string } {
  const text = ca.openssl(["req", "-verify", "-noout", "-text"], csr);
  const names = [...text.matchAll(/DNS:([^,\s]+)/g)].map(([, name]) => name ?? "");
  return { text, names, publicKey: ca.openssl(["req", "-noout", "-pubkey"], csr) };
}

const KEYS: readonly [KeyType, RegExp, string][] = [
  ["ec256", /ASN1 OID: prime256v1/, "ecdsa-with-SHA256"],
  ["ec384", /ASN1 OID: secp384r1/, "ecdsa-with-SHA384"],
  ["rsa2048", /Public-Key: \(2048 bit\)/, "sha256WithRSAEncryption"],
];

describe.each(KEYS)("a request for a key of type %s", (type, kind, algorithm) => {
  it.each([1, 100])("with %d names is one that openssl verifies", async (count) => {
    const names = Array.from({ length: count }, (_, i) => `name-${i}.customer.example`);
    const key = await generateKey(type);
    const read = readCsr(createCsr(key, names));
    expect(read.names).toEqual(names);
    expect(read.text).toMatch(kind);
    expect(read.text.match(/Signature Algorithm: (\S+)/)?.[1]).toBe(algorithm);
    expect(read.publicKey).toBe(createPublicKey(key).export({ type: "spki", format: "pem" }));
  });
});

it("asks for nothing but the names: no subject, no other extension", async () => {
  const { text } = readCsr(createCsr(await generateKey("ec256"), ["a.example"]));
  expect(text).toMatch(/Subject: *\n/);
  expect(text.match(/X509v3 [^:]+:/g)).toEqual(["X509v3 Subject Alternative Name:"]);
});

it("encodes every length right, from one octet to three", async () => {
  const key = await generateKey("ec256");
  // Around 128 and 65,536 octets of content the length takes another octet.
  for (const length of [1, 60, 100, 110, 120, 127, 128, 250, 253])
    expect(readCsr(createCsr(key, ["n".repeat(length)])).names).toEqual(["n".repeat(length)]);
  const many = Array.from({ length: 100 }, () => `${randomBytes(330).toString("hex")}.example`);
  expect(readCsr(createCsr(key, many)).names).toEqual(many);
});

it("takes wildcards and A-labels as they are", async () => {
  const names = ["*.example.com", "xn--mller-kva.example"];
  expect(readCsr(createCsr(await generateKey("ec256"), names)).names).toEqual(names);
});
