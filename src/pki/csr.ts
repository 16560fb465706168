import { createPublicKey, type KeyObject, sign } from "node:crypto";
import { parseKey } from "./keys.ts";

/**
 * A certificate signing request (RFC 2986) with nothing in it but the key and the names as SANs (RFC 5280
 * §4.2.1.6), which is all that an ACME CA takes from it. Written out here, as it is four nested lists, and as the
 * library's way through WebCrypto and an ASN.1 object model costs as much as all other work on a certificate's key.
 */
export function createCsr(keyPem: string, names: readonly string[]): string {
  const key = parseKey(keyPem);
  const info = sequence(
    Buffer.from([0x02, 0x01, 0x00]),
    sequence(),
    createPublicKey(key).export({ type: "spki", format: "der" }),
    element(0xa0, sequence(OID.extensionRequest, element(0x31, sequence(subjectAltName(names))))),
  );
  const { algorithm, hash } = signatureOf(key);
  const signature = element(0x03, Buffer.from([0x00]), sign(hash, info, key));
  const base64 = sequence(info, algorithm, signature).toString("base64");
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join("\n")}\n-----END CERTIFICATE REQUEST-----\n`;
}

function subjectAltName(names: readonly string[]): Buffer {
  const dnsNames = names.map((name) => element(0x82, Buffer.from(name, "ascii")));
  return sequence(OID.subjectAltName, element(0x04, sequence(...dnsNames)));
}

function signatureOf(key: KeyObject): { algorithm: Buffer; hash: string } {
  if (key.asymmetricKeyType === "rsa")
    return { algorithm: sequence(OID.sha256WithRsa, Buffer.from([0x05, 0x00])), hash: "sha256" };
  // RFC 5758 §3.2: the hash as strong as the curve.
  if (key.asymmetricKeyDetails?.namedCurve === "secp384r1")
    return { algorithm: sequence(OID.ecdsaWithSha384), hash: "sha384" };
  return { algorithm: sequence(OID.ecdsaWithSha256), hash: "sha256" };
}

/** Object identifiers, encoded (X.690 §8.19). */
const OID = {
  /** 1.2.840.113549.1.9.14 */
  extensionRequest: Buffer.from("06092a864886f70d01090e", "hex"),
  /** 2.5.29.17 */
  subjectAltName: Buffer.from("0603551d11", "hex"),
  /** 1.2.840.113549.1.1.11 */
  sha256WithRsa: Buffer.from("06092a864886f70d01010b", "hex"),
  /** 1.2.840.10045.4.3.2 */
  ecdsaWithSha256: Buffer.from("06082a8648ce3d040302", "hex"),
  /** 1.2.840.10045.4.3.3 */
  ecdsaWithSha384: Buffer.from("06082a8648ce3d040303", "hex"),
} as const;

function sequence(...parts: readonly Buffer[]): Buffer {
  return element(0x30, ...parts);
}

/** Tag, length and content (X.690 §8.1). */
function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes.length, ...bytes]), content]);
}
