import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { tempDir } from "../../support/temp.ts";

const KEY = randomBytes(32);

describe("CERTHERD_STORE_KEY", () => {
  it("is not needed on a single host", () => {
    expect(loadConfig({})).not.toHaveProperty("storeKey");
  });

  it.each([
    ["base64", KEY.toString("base64")],
    ["base64 without its end", KEY.toString("base64").replace("=", "")],
    ["base64url", KEY.toString("base64url")],
    ["hex", KEY.toString("hex")],
    ["capital hex", KEY.toString("hex").toUpperCase()],
  ])("may be %s", (_, text) => {
    expect(loadConfig({ CERTHERD_STORE_KEY: text }).storeKey).toEqual(KEY);
  });

  it("may stand in a file, as openssl writes it", () => {
    const path = join(tempDir("certherd-key"), "store-key");
    writeFileSync(path, `${KEY.toString("base64")}\n`);
    expect(loadConfig({ CERTHERD_STORE_KEY_FILE: path }).storeKey).toEqual(KEY);
  });

  it.each([
    ["a password", "correct horse battery staple"],
    ["too short", randomBytes(31).toString("base64")],
    ["too long", randomBytes(33).toString("base64")],
    ["one digit short", KEY.toString("hex").slice(1)],
    ["all zeros", Buffer.alloc(32).toString("base64")],
  ])("is refused with the way to make one, and without being shown: %s", (_, text) => {
    const load = () => loadConfig({ CERTHERD_STORE_KEY: text });
    expect(load).toThrow(/openssl rand -base64 32/);
    expect(load).toThrow(expect.objectContaining({ code: "config_invalid", disposition: "usage" }));
    expect(load).not.toThrow(text);
  });
});
