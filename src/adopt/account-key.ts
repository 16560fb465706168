import { createHash, createPrivateKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { refuse } from "./found.ts";

/** RFC 7518 §3.4: what accounts may sign with, besides RSA. */
const CURVES = ["prime256v1", "secp384r1", "secp521r1"];

/** An account's key of whatever PEM (PKCS #1, SEC 1, PKCS #8), as PKCS #8 PEM. */
export function accountKeyFromPem(pem: string, path: string): string {
  return pkcs8(() => createPrivateKey(pem), path);
}

/** The same of a JSON web key (RFC 7517), which certbot keeps. */
export function accountKeyFromJwk(text: string, path: string): string {
  return pkcs8(() => createPrivateKey({ key: JSON.parse(text) as JsonWebKey, format: "jwk" }), path);
}

/** As acme.sh tells whether the account's URL is of this key: SHA-256 of the file, in Base64. */
export function fileDigest(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}

function pkcs8(read: () => KeyObject, path: string): string {
  let key: KeyObject;
  try {
    key = read();
  } catch (error) {
    // The error itself may quote what it read.
    const code = error instanceof Error && "code" in error ? ` (${error.code})` : "";
    throw refuse("adopt_bad_account", `${path} holds no private key that can be read${code}.`);
  }
  const curve = key.asymmetricKeyDetails?.namedCurve ?? "";
  if (key.asymmetricKeyType !== "rsa" && !CURVES.includes(curve))
    throw refuse("adopt_bad_account", `${path} holds a key of a kind that is not used here.`);
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}
