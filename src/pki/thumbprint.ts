import { createHash, createPublicKey, type JsonWebKey } from "node:crypto";

/** The members that count, in the order in which they are hashed (RFC 7638 §3.2). */
const REQUIRED: Readonly<Record<string, readonly (keyof JsonWebKey)[]>> = {
  EC: ["crv", "kty", "x", "y"],
  OKP: ["crv", "kty", "x"],
  RSA: ["e", "kty", "n"],
};

/** Of the public key of a PEM: what it is, as `ec256` or `rsa2048`, and its JWK's thumbprint with SHA-256 (RFC 7638). */
export function describeKey(pem: string): { type: string; thumbprint: string } {
  const key = createPublicKey(pem);
  const jwk = key.export({ format: "jwk" });
  const members = REQUIRED[jwk.kty ?? ""] ?? [];
  const canonical = JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]])));
  const bits = key.asymmetricKeyDetails?.modulusLength;
  const curve = /^P-(\d+)$/.exec(jwk.crv ?? "")?.[1];
  const type = curve ? `ec${curve}` : bits ? `rsa${bits}` : (key.asymmetricKeyType ?? "unknown");
  return { type, thumbprint: createHash("sha256").update(canonical).digest("base64url") };
}
