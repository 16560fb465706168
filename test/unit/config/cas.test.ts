/** Which CA, with which external account binding. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { tempDir } from "../../support/temp.ts";

const dir = tempDir("certherd-config-cas");
writeFileSync(join(dir, "hmac"), "c2VjcmV0\n");
let count = 0;

function load(yaml: string, env: Record<string, string> = {}) {
  const path = join(dir, `${count++}.yaml`);
  writeFileSync(path, yaml);
  return loadConfig({ CERTHERD_CONFIG: path, ...env });
}

const EAB = { CERTHERD_EAB_KID: "kid-1", CERTHERD_EAB_HMAC: "c2VjcmV0" };

describe("what says which CA is the default", () => {
  it.each([
    ["nothing", "spillAfter: 1h", {}, "default", "letsencrypt"],
    ["the file", "cas: [{ name: zerossl }, { name: google }]", {}, "CERTHERD_CONFIG", "zerossl"],
    ["the environment", "cas: [{ name: zerossl }]", { CERTHERD_CA: "google" }, "CERTHERD_CA", "google"],
    [
      "both",
      "cas: [{ name: google }, { name: zerossl }]",
      { CERTHERD_CA: "zerossl" },
      "CERTHERD_CA",
      "zerossl",
    ],
  ])("%s", (_, yaml, env, caFrom, first) => {
    const config = load(yaml, env as Record<string, string>);
    expect(config.caFrom).toBe(caFrom);
    expect(config.cas[0].name).toBe(first);
  });
});

describe("the binding of the environment", () => {
  it("is not told to a CA that wants none", () => {
    const { cas } = load("cas: [{ name: letsencrypt }, { name: zerossl }]", EAB);
    expect(cas[0]).not.toHaveProperty("eab");
    expect(cas[1]?.eab).toEqual({ kid: "kid-1", hmacKey: "c2VjcmV0" });
  });

  it("is that of a CA of which nothing is known", () => {
    expect(loadConfig({ CERTHERD_CA: "https://ca.example/dir", ...EAB }).cas[0].eab?.kid).toBe("kid-1");
  });

  it("cannot be that of two CAs", () => {
    const fault = expect.objectContaining({
      code: "config_invalid",
      message: expect.stringMatching(/are of one CA, and zerossl and google each want their own/),
    });
    expect(() => load("cas: [{ name: zerossl }, { name: google }]", EAB)).toThrow(fault);
    const own = `eab: { kid: kid-2, hmacFile: ${join(dir, "hmac")} }`;
    const { cas } = load(`cas: [{ name: zerossl, ${own} }, { name: google }]`, EAB);
    expect(cas.map(({ eab }) => eab?.kid)).toEqual(["kid-2", "kid-1"]);
  });

  it("is refused where its key is none, which is not shown", () => {
    const message = expect.stringMatching(/^(?!.*s3cret).*at zerossl is not base64url/);
    const env = { ...EAB, CERTHERD_EAB_HMAC: '"s3cret key"', CERTHERD_CA: "zerossl" };
    expect(() => loadConfig(env)).toThrow(expect.objectContaining({ code: "config_invalid", message }));
  });
});

it("a profile that can be none is refused", () => {
  expect(() => load('cas: [{ name: letsencrypt, profile: "short lived" }]')).toThrow(/cas\.0\.profile: /);
});
