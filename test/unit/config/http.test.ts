import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Config, loadConfig } from "../../../src/config/load.ts";
import { tempDir } from "../../support/temp.ts";

const path = join(tempDir("certherd-config-http"), "certherd.yaml");

function load(yaml: string): Config {
  writeFileSync(path, yaml);
  return loadConfig({ CERTHERD_CONFIG: path });
}

describe("http", () => {
  it("has sessions of an hour unused and 8 hours at most, and believes proxies of this host, by default", () => {
    expect(loadConfig({}).http).toEqual({
      session: { idle: 3_600_000, most: 28_800_000 },
      ratePerMinute: 6_000,
      trustProxy: ["127.0.0.0/8", "::1/128"],
    });
  });

  it("may be set part by part; no session outlives its end for being used", () => {
    const { http } = load(`http: { session: { most: 30m }, trustProxy: [10.0.0.7, "fd00::/8"] }`);
    expect(http).toEqual({
      session: { idle: 1_800_000, most: 1_800_000 },
      ratePerMinute: 6_000,
      trustProxy: ["10.0.0.7", "fd00::/8"],
    });
    expect(load("http: { trustProxy: [] }").http.trustProxy).toEqual([]);
  });

  it.each([
    ["http: { trustProxy: [lb1] }", "http.trustProxy.0"],
    ["http: { trustProxy: [10.0.0.0/40] }", "http.trustProxy.0"],
    ["http: { session: { idle: 0s } }", "http.session.idle"],
    ["http: { ratePerMinute: 0 }", "http.ratePerMinute"],
    ["mail: { relays: ['10.0.0.1:0'] }", "mail.relays.0"],
    ["mail: { relays: ['no_host!'] }", "mail.relays.0"],
  ])("refuses %s, and says where", (yaml, where) => {
    expect(() => load(yaml)).toThrow(where);
  });
});
