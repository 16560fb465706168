import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  defaultsOf,
  globalValue,
  parseConfiguration,
  patternsOf,
  wholeTrialOf,
} from "../../../src/deploy/targets/stunnel/configuration.ts";
import { checkUser, Log } from "../../../src/deploy/targets/stunnel/process.ts";
import { sample } from "../../../src/deploy/targets/stunnel/serving.ts";

const MAIN = `; a comment
# another
foreground = yes
PID=/run/stunnel.pid
output = /var/log/stunnel.log
securityLevel = 3
setuid = stunnel4

[https]
accept  = 443
connect = 80
cert = /etc/stunnel/default.pem
[own]
sni = https:own.example
ciphers = HIGH
include = /etc/stunnel/conf.d
`;

describe("stunnel's configuration", () => {
  const lines = parseConfiguration(MAIN);

  it("is read with its sections, and options in any case", () => {
    expect(globalValue(lines, "pid")).toBe("/run/stunnel.pid");
    expect(globalValue(lines, "cert")).toBeUndefined();
    expect(lines.find(({ key }) => key === "accept")).toEqual({
      at: 10,
      section: "https",
      key: "accept",
      value: "443",
    });
  });

  it("tells the defaults that decide about certificates, and others' names", () => {
    expect(defaultsOf(lines)).toEqual(["securitylevel = 3"]);
    expect(patternsOf(lines, "https")).toEqual(["own.example"]);
    expect(patternsOf(lines, "other")).toEqual([]);
  });

  it("is tried as a whole without touching what the live one has", () => {
    const trial = wholeTrialOf(lines);
    expect(trial).not.toMatch(/443|stunnel\.pid|stunnel\.log|stunnel4/);
    expect(trial).toContain("[https]\naccept = /dev/null/certherd\nconnect = 80\n");
    expect(trial).toContain("include = /etc/stunnel/conf.d");
  });
});

describe("stunnel's log", () => {
  let folder: string;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "certherd-log-"));
    path = join(folder, "stunnel.log");
    writeFileSync(
      path,
      "2026.01.01 00:00:00 LOG3[main]: an old fault\n2026.01.01 00:00:00 LOG3[main]: Configuration failed\n",
    );
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  it("is read from now on, with lines that come in parts", async () => {
    const log = await Log.open(path);
    await log?.read();
    expect(log?.verdict).toBeUndefined();
    appendFileSync(
      path,
      "2026.01.01 00:00:01 LOG3[main]: No trusted certificates found\n2026.01.01 00:00:01 LOG3[main]: Service [a]: Fai",
    );
    await log?.read();
    appendFileSync(
      path,
      "led\n2026.01.01 00:00:01 LOG5[main]: a notice\n2026.01.01 00:00:01 LOG3[main]: Configuration failed\n",
    );
    await log?.read();
    expect(log?.verdict).toBe("refused");
    expect(log?.words).toEqual(["Service [a]: Failed"]);
  });

  it("is read from its start where a reload begins it anew", async () => {
    const log = await Log.open(path);
    writeFileSync(path, "2026.01.01 00:00:01 LOG5[main]: Configuration successful\n");
    await log?.read();
    expect(log?.verdict).toBe("taken");
  });

  it("need not be there", async () => {
    expect(await Log.open(undefined)).toBeUndefined();
    expect(await Log.open(join(folder, "none"))).toBeUndefined();
    expect(await Log.open("/dev/null")).toBeUndefined();
  });
});

describe("the user that stunnel runs as", () => {
  const ours = process.geteuid?.() ?? 0;

  it("can read our files as root, or as the same one", () => {
    expect(() => checkUser({ pid: 2, uid: 0 })).not.toThrow();
    expect(() => checkUser({ pid: 2, uid: ours })).not.toThrow();
    expect(() => checkUser({ pid: 2, uid: undefined })).not.toThrow();
  });

  it("cannot as another", () => {
    expect(() => checkUser({ pid: 2, uid: ours + 4_711 })).toThrow("setuid");
  });
});

describe("a sample", () => {
  it("is the first, a middle one and the last", () => {
    expect(sample([1, 2, 3, 4, 5])).toEqual([1, 3, 5]);
    expect(sample([1, 2])).toEqual([1, 2]);
    expect(sample([])).toEqual([]);
  });
});
