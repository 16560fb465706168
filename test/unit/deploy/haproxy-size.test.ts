import { describe, expect, it } from "vitest";
import type { Bundle } from "../../../src/deploy/target.ts";
import { tooLarge } from "../../../src/deploy/targets/haproxy/certificate.ts";
import { requestOf } from "../../../src/deploy/targets/haproxy/connection.ts";

const FILE = "/certs/a.example.pem";
/** The command with its line break, and the blank line. */
const FRAME = `set ssl cert ${FILE} <<\n`.length + 1;

function bundle(bytes: number): Bundle {
  const pem = { leafPem: "l\n", issuersPem: `${"x".repeat(bytes - 5)}\n`, keyPem: "k\n" };
  return { id: "a.example", names: ["a.example"], serial: "01", ...pem };
}

describe("what goes over the socket", () => {
  it("has no blank line before its end, as the rest would be taken for commands", () => {
    expect(requestOf("set ssl cert a", "one\n\n  \r\ntwo\n\n\n")).toBe("set ssl cert a <<\none\ntwo\n\n");
    expect(requestOf("show info")).toBe("show info\n");
  });
});

describe("a bundle", () => {
  it("has to be smaller than the buffer, by a byte at least", () => {
    expect(tooLarge(bundle(16_383 - FRAME), FILE, 16_384)).toBeUndefined();
    for (const size of [16_384, 16_385, 40_000]) {
      const error = tooLarge(bundle(size - FRAME), FILE, 16_384);
      expect(error).toMatchObject({
        code: "bundle_too_large",
        disposition: "attention",
        identifier: "a.example",
      });
      expect(error?.message).toContain(`takes ${size} bytes`);
    }
  });

  it("that does not fit is told what would", () => {
    const needed = (size: number): number =>
      Number(/"tune\.bufsize (\d+)"/.exec(tooLarge(bundle(size - FRAME), FILE, 16_384)?.message ?? "")?.[1]);
    expect(needed(16_384)).toBe(20_480);
    expect(needed(20_479)).toBe(20_480);
    expect(needed(20_480)).toBe(24_576);
    expect(tooLarge(bundle(20_479 - FRAME), FILE, needed(20_479))).toBeUndefined();
  });
});
