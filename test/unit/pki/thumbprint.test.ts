import { createPublicKey } from "node:crypto";
import { expect, it } from "vitest";
import { generateKey } from "../../../src/pki/keys.ts";
import { describeKey } from "../../../src/pki/thumbprint.ts";

const pem = (key: object): string =>
  createPublicKey({ key: { ...key }, format: "jwk" })
    .export({ type: "spki", format: "pem" })
    .toString();

it("is the one of RFC 7638 §3.1", () => {
  const n =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
  expect(describeKey(pem({ kty: "RSA", n, e: "AQAB" }))).toEqual({
    type: "rsa2048",
    thumbprint: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
  });
});

it("is the one of RFC 8037 A.3", () => {
  const key = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };
  expect(describeKey(pem(key))).toEqual({
    type: "ed25519",
    thumbprint: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
  });
});

it.each(["ec256", "ec384"] as const)("tells an %s key", async (type) => {
  expect(describeKey(await generateKey(type)).type).toBe(type);
});
