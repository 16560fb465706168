/** Certificates as a deploy target takes them, of a test CA. */
import type { Bundle } from "../../src/deploy/target.ts";
import { generateKey } from "../../src/pki/keys.ts";
import type { TestCa } from "./chains.ts";

/** The id is the first name's, as everywhere. */
export async function makeBundle(ca: TestCa, names: readonly string[], serial: string): Promise<Bundle> {
  const keyPem = await generateKey("ec256");
  const altNames = names.map((name) => `DNS:${name}`);
  const leafPem = ca.leaf(keyPem, altNames, `0x${serial}`);
  const id = (names[0] ?? "").replace("*", "_");
  return { id, names, serial, leafPem, issuersPem: ca.intermediatePem, keyPem };
}
