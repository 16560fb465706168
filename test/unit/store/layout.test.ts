import { describe, expect, it } from "vitest";
import { namesKey } from "../../../src/core/certificate.ts";
import { archiveName, type CertificateFile, compareFiles, leafNames } from "../../../src/store/layout.ts";
import { makeSpec } from "../../support/specs.ts";

const LEAF = { notBefore: 1_000, notAfter: 9_000, issuer: "E7", serial: "01", renewAt: 5_000 };

function file(more: Partial<CertificateFile> = {}): CertificateFile {
  const state = { status: "issued", attempts: 0, generation: 1, acceptedAt: 100 } as const;
  return { version: 1, name: "a.example", spec: makeSpec("a.example"), ...state, ...more };
}

describe("the archive's folder", () => {
  it("is named by the certificate and the second, in UTC", () => {
    const at = Date.UTC(2026, 7, 28, 14, 5, 9, 999);
    expect(archiveName("_.a.example", at)).toBe("_.a.example-20260828T140509Z");
  });

  it("has a name that a file system takes, however long the certificate's is", () => {
    for (const length of [233, 234, 240, 253]) {
      const [a, b] = [`${"a".repeat(length - 1)}b`, `${"a".repeat(length - 1)}c`];
      expect(archiveName(a, 0).length).toBeLessThanOrEqual(255);
      expect(archiveName(a, 0)).not.toBe(archiveName(b, 0));
    }
  });
});

describe("of two files of one certificate", () => {
  const leafAt = (issuedAt: number) => ({ leaf: { ...LEAF, issuedAt } });
  it.each([
    ["a leaf goes before none", file({ leaf: LEAF }), file({ generation: 9, acceptedAt: 900 })],
    ["the later leaf", file(leafAt(3_000)), file({ ...leafAt(2_000), generation: 9, acceptedAt: 900 })],
    ["the one asked for later", file({ acceptedAt: 200 }), file({ acceptedAt: 100, generation: 9 })],
    ["the later generation", file({ generation: 2 }), file()],
  ])("%s is the newer one", (_, newer, older) => {
    expect(compareFiles(newer, older)).toBeGreaterThan(0);
    expect(compareFiles(older, newer)).toBeLessThan(0);
    expect(compareFiles(older, older)).toBe(0);
  });
});

describe("a leaf's names", () => {
  it("are those asked for, where it was made for them", () => {
    const spec = makeSpec(["a.example", "www.a.example"]);
    expect(leafNames(file({ spec, leaf: { ...LEAF, set: namesKey(spec.names) } }), "")).toEqual(spec.names);
    expect(leafNames(file({ spec, leaf: LEAF }), "")).toEqual(spec.names);
  });
});
