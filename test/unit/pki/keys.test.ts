import { createPrivateKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { KeyType } from "../../../src/core/certificate.ts";
import { generateKey } from "../../../src/pki/keys.ts";

describe("generateKey", () => {
  const types: readonly [KeyType, string, object][] = [
    ["ec256", "ec", { namedCurve: "prime256v1" }],
    ["ec384", "ec", { namedCurve: "secp384r1" }],
    ["rsa2048", "rsa", { modulusLength: 2_048, publicExponent: 65_537n }],
    ["rsa3072", "rsa", { modulusLength: 3_072, publicExponent: 65_537n }],
  ];

  it.each(types)("makes a key of type %s, as PKCS #8 PEM", async (type, asymmetricKeyType, details) => {
    const pem = await generateKey(type);
    expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----\n[\s\S]+\n-----END PRIVATE KEY-----\n$/);
    const key = createPrivateKey(pem);
    expect(key.asymmetricKeyType).toBe(asymmetricKeyType);
    expect(key.asymmetricKeyDetails).toEqual(details);
  });

  it("never makes the same one twice", async () => {
    expect(await generateKey("ec256")).not.toBe(await generateKey("ec256"));
  });
});
