import { createPrivateKey, X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KEY_TYPES } from "../../../src/core/certificate.ts";
import { generateKey } from "../../../src/pki/keys.ts";
import { derOf, isKeyOf, isSameSerial, serialOf } from "../../../src/reconcile/fits.ts";
import { makeTestCa, type TestCa } from "../../support/chains.ts";

let ca: TestCa;

beforeAll(async () => {
  ca = await makeTestCa();
});

afterAll(() => ca.stop());

function leafOf(key: string, serial?: string): Buffer {
  return derOf(ca.leaf(key, ["DNS:a.example"], serial)) ?? Buffer.of();
}

describe.each(KEY_TYPES.filter((type) => !/rsa[34]/.test(type)))("a key of the type %s", (type) => {
  it("is that of its leaf, however it is written, and of no other", async () => {
    const [key, other] = [await generateKey(type), await generateKey(type)];
    const [leaf, others] = [leafOf(key), leafOf(other)];
    const kind = type.startsWith("rsa") ? "pkcs1" : "sec1";
    const former = createPrivateKey(key).export({ type: kind, format: "pem" }).toString();
    for (const pem of [key, former]) {
      expect(isKeyOf(leaf, pem)).toBe(true);
      expect(isKeyOf(others, pem)).toBe(false);
    }
  });
});

it("takes neither a damaged key nor a damaged leaf", async () => {
  const key = await generateKey("ec256");
  expect(isKeyOf(leafOf(key), "nothing")).toBe(false);
  expect(isKeyOf(leafOf(key), key.replace(/\n[^-\n]+\n/, "\nAAAA\n"))).toBe(false);
  expect(isKeyOf(Buffer.from("nothing"), key)).toBe(false);
});

it.each(["0x0a1b2c3d", "0x7f", "0xff00000000000001"])("reads the serial %s", async (serial) => {
  const leaf = leafOf(await generateKey("ec256"), serial);
  const printed = new X509Certificate(leaf).serialNumber;
  expect(isSameSerial(serialOf(leaf) ?? "", printed)).toBe(true);
  expect(isSameSerial(serialOf(leaf) ?? "", "0A1B2C3E")).toBe(false);
});

it("reads no serial of what is cut off, or of another kind", async () => {
  const leaf = leafOf(await generateKey("ec256"));
  expect(serialOf(leaf.subarray(0, 100))).toBeUndefined();
  expect(serialOf(Buffer.of())).toBeUndefined();
  expect(serialOf(derOf(await generateKey("ec256")) ?? Buffer.of())).toBeUndefined();
});
