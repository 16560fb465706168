import { describe, expect, it } from "vitest";
import { caNameOf, KNOWN_CAS, knownCaOf } from "../../../src/acme/cas.ts";

describe("the known CAs", () => {
  it.each(Object.entries(KNOWN_CAS))("%s is found again by its directory", (name, { directory }) => {
    expect(new URL(directory).protocol).toBe("https:");
    expect(knownCaOf(directory)).toBe(name);
    expect(caNameOf(directory)).toBe(name);
  });

  it("tells which of them want external account binding", () => {
    const wanting = Object.entries(KNOWN_CAS).filter(([, { needsEab }]) => needsEab);
    expect(wanting.map(([name]) => name)).toEqual(["zerossl", "google"]);
  });
});

describe("the name of a CA that is given by its URL", () => {
  it.each([
    ["https://localhost:14000/dir", /^localhost-14000-[0-9a-f]{6}$/],
    ["https://CA.Example/acme/directory", /^ca\.example-[0-9a-f]{6}$/],
    ["https://[::1]:14000/dir", /^-1-14000-[0-9a-f]{6}$/],
  ])("%s", (directory, name) => {
    expect(knownCaOf(directory)).toBeUndefined();
    expect(caNameOf(directory)).toMatch(name);
  });

  it("is the same every time, and another one for another path of the same host", () => {
    expect(caNameOf("https://ca.example/a")).toBe(caNameOf("https://ca.example/a"));
    expect(caNameOf("https://ca.example/a")).not.toBe(caNameOf("https://ca.example/b"));
  });

  it("is safe in queue names, folders and keys", () => {
    for (const directory of ["https://a_b.example:1/", "http://ä.example/x", "https://[fe80::1]/d"])
      expect(caNameOf(directory)).toMatch(/^[a-z0-9.-]+$/);
  });
});
