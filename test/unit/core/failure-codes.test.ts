/** What failures are counted by is what the documents tell of. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { countedCode } from "../../../src/core/failure-codes.ts";

const DOCUMENT = fileURLToPath(new URL("../../../docs/errors.md", import.meta.url));
/** The codes of certificates; what follows is of commands and requests. */
const [ofCertificates = "", ofCommands = ""] = readFileSync(DOCUMENT, "utf8").split(
  "## Usage and configuration",
);
const codesIn = (text: string): string[] =>
  [...text.matchAll(/^\| (`[^|]*)\|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([a-z_]+)`/g)].map(([, code = ""]) => code),
  );

it("each documented code of a certificate is counted as itself", () => {
  const codes = codesIn(ofCertificates);
  expect(codes.length).toBeGreaterThan(60);
  expect(codes.filter((code) => countedCode(code) !== code)).toEqual([]);
});

it("no other one is", () => {
  const others = codesIn(ofCommands).filter((code) => !codesIn(ofCertificates).includes(code));
  expect(others.length).toBeGreaterThan(30);
  for (const code of [...others, "made_up_by_a_ca", ""]) expect(countedCode(code)).toBe("other");
  expect(countedCode("http_502")).toBe("http");
});
