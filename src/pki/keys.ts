import { createPrivateKey, generateKeyPair, type KeyObject, type KeyPairKeyObjectResult } from "node:crypto";
import { promisify } from "node:util";
import { KEY_TYPES, type KeyType } from "../core/certificate.ts";

const generate = promisify(generateKeyPair);

/** A new private key as PKCS #8 PEM. P-256 costs a fortieth of the time that RSA 2048 takes. */
export async function generateKey(type: KeyType): Promise<string> {
  const { privateKey } = await pairOf(type);
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/** To parse a PEM costs as much as to sign; a key is used two or three times within seconds, and then no more. */
const MOST_PARSED = 256;
const parsed = new Map<string, KeyObject>();

/** The private key of a PEM. */
export function parseKey(pem: string): KeyObject {
  const known = parsed.get(pem);
  if (known) return known;
  const key = createPrivateKey(pem);
  const oldest = parsed.size >= MOST_PARSED ? parsed.keys().next().value : undefined;
  if (oldest !== undefined) parsed.delete(oldest);
  parsed.set(pem, key);
  return key;
}

/** Undefined for a key that is of none of our types. */
export function keyTypeOf(pem: string): KeyType | undefined {
  const { asymmetricKeyType, asymmetricKeyDetails: details } = parseKey(pem);
  if (asymmetricKeyType === "rsa")
    return KEY_TYPES.find((type) => type === `rsa${details?.modulusLength ?? 0}`);
  if (asymmetricKeyType !== "ec") return undefined;
  if (details?.namedCurve === "prime256v1") return "ec256";
  return details?.namedCurve === "secp384r1" ? "ec384" : undefined;
}

function pairOf(type: KeyType): Promise<KeyPairKeyObjectResult> {
  switch (type) {
    case "ec256":
      return generate("ec", { namedCurve: "P-256" });
    case "ec384":
      return generate("ec", { namedCurve: "P-384" });
    case "rsa2048":
    case "rsa3072":
    case "rsa4096":
      return generate("rsa", { modulusLength: Number(type.slice(3)) });
  }
}
