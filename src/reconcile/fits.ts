import { createPrivateKey, X509Certificate } from "node:crypto";

const BLOCK = /-----BEGIN ([A-Z ]+)-----([^-]+)-----END \1-----/;
/** The length of an EC public key, uncompressed, with its leading 04: P-256 and P-384 (SEC 1 §2.3.3). */
const POINTS = [65, 97];

export function derOf(pem: string): Buffer | undefined {
  const body = BLOCK.exec(pem)?.[2];
  return body === undefined ? undefined : Buffer.from(body, "base64");
}

/** The serial of a certificate as openssl prints it; undefined where these bytes are none (RFC 5280 §4.1). */
export function serialOf(der: Buffer): string | undefined {
  const certificate = element(der, 0);
  const signed = certificate && element(der, certificate.from);
  if (certificate?.tag !== 0x30 || certificate.to !== der.length || signed?.tag !== 0x30) return undefined;
  let part = element(der, signed.from);
  if (part?.tag === 0xa0) part = element(der, part.to);
  if (part?.tag !== 0x02) return undefined;
  return der.subarray(part.from, part.to).toString("hex").toUpperCase();
}

/** One element of DER: its tag, and where its content is (X.690 §8.1). */
function element(der: Buffer, at: number): { tag: number; from: number; to: number } | undefined {
  const [tag, first] = [der[at], der[at + 1]];
  if (tag === undefined || first === undefined) return undefined;
  if (first < 0x80) return within(der, { tag, from: at + 2, to: at + 2 + first });
  const bytes = first & 0x7f;
  if (bytes === 0 || bytes > 4 || at + 2 + bytes > der.length) return undefined;
  const from = at + 2 + bytes;
  return within(der, { tag, from, to: from + der.readUIntBE(at + 2, bytes) });
}

function within<T extends { to: number }>(der: Buffer, found: T): T | undefined {
  return found.to <= der.length ? found : undefined;
}

/** Equal but for leading zeros, which a DER integer has where its first bit is set. */
export function isSameSerial(one: string, other: string): boolean {
  return bare(one) === bare(other);
}

function bare(serial: string): string {
  return serial.toUpperCase().replace(/^0+/, "");
}

/**
 * Whether a private key is that of the leaf. To parse both costs more than all else that is looked at; so it is looked
 * whether the leaf has the public part that stands in the key's file: an EC key ends with its point, and an RSA key
 * begins with its modulus. Only where that is not found they are parsed.
 */
export function isKeyOf(leaf: Buffer, keyPem: string): boolean {
  const key = derOf(keyPem);
  if (key === undefined) return false;
  for (const length of POINTS)
    if (key.length > length + 40 && key.at(-length) === 4 && leaf.includes(key.subarray(-length)))
      return true;
  const modulus = modulusOf(key);
  if (modulus !== undefined && leaf.includes(modulus)) return true;
  try {
    return new X509Certificate(leaf).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}

/** Of an RSA key in PKCS #8 (RFC 5958) or PKCS #1 (RFC 8017 §A.1.2). */
function modulusOf(der: Buffer): Buffer | undefined {
  const outer = element(der, 0);
  const version = outer && element(der, outer.from);
  const second = version && element(der, version.to);
  if (second?.tag === 0x02) return long(der.subarray(second.from, second.to));
  const octets = second && element(der, second.to);
  return octets?.tag === 0x04 ? modulusOf(der.subarray(octets.from, octets.to)) : undefined;
}

/** A short one would be found anywhere. */
function long(bytes: Buffer): Buffer | undefined {
  return bytes.length >= 128 ? bytes : undefined;
}
