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

/** Makes them with serials that count up, as a CA's certificates never share one. */
export function bundleMaker(ca: () => TestCa): {
  bundle(...names: string[]): Promise<Bundle>;
  bundles(count: number): Promise<Bundle[]>;
} {
  let serials = 0x1000;
  const bundle = (...names: string[]): Promise<Bundle> =>
    makeBundle(ca(), names, (serials++).toString(16).toUpperCase());
  return {
    bundle,
    async bundles(count) {
      const all: Bundle[] = [];
      for (let n = 0; n < count; n++) all.push(await bundle(`n${n}.example.com`));
      return all;
    },
  };
}

/** Two of one name, the second one renewing the first, and one of another name. */
export async function makeRenewal(ca: TestCa): Promise<{ first: Bundle; renewed: Bundle; second: Bundle }> {
  return {
    first: await makeBundle(ca, ["*.a.example", "a.example"], "0A1B"),
    renewed: await makeBundle(ca, ["*.a.example", "a.example"], "0A1C"),
    second: await makeBundle(ca, ["b.example"], "77"),
  };
}
