import { mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { CrtList, fileOf } from "../../../src/deploy/targets/haproxy/crt-list.ts";
import { tempDir } from "../../support/temp.ts";

let path: string;
let list: CrtList;

beforeEach(() => {
  path = join(tempDir("certherd-crt-list"), "list.txt");
  list = new CrtList(path);
});

function text(): string {
  return readFileSync(path, "utf8");
}

describe("a line", () => {
  it.each([
    ["/certs/a.pem", "/certs/a.pem"],
    ["  /certs/a.pem [alpn h2] a.example !b.example", "/certs/a.pem"],
    ["\t/certs/a.pem\ta.example", "/certs/a.pem"],
    ["/certs/a.pem[alpn h2]", "/certs/a.pem"],
    ["/certs/a.pem\r", "/certs/a.pem"],
    ["# /certs/a.pem", undefined],
    ["  #", undefined],
    ["", undefined],
  ])("%j names %j", (line, file) => {
    expect(fileOf(line)).toBe(file);
  });
});

describe("a crt-list", () => {
  it("keeps what is not ours, byte by byte", async () => {
    const foreign = "# first\r\n\n  /own/x.pem [alpn h2] x.example # why\n\t\n";
    writeFileSync(path, foreign);
    await list.add(["/certs/a.pem", "/certs/b.pem"], undefined);
    expect(text()).toBe(`${foreign}/certs/a.pem\n/certs/b.pem\n`);
    await list.drop(["/certs/a.pem", "/certs/never.pem"]);
    expect(text()).toBe(`${foreign}/certs/b.pem\n`);
    await list.drop(["/certs/b.pem"]);
    expect(text()).toBe(foreign);
  });

  it("has each file once, with its options, and ends its last line", async () => {
    writeFileSync(path, "/certs/a.pem [alpn h2]");
    await list.add(["/certs/a.pem", "/certs/b.pem"], "alpn http/1.1");
    expect(text()).toBe("/certs/a.pem [alpn h2]\n/certs/b.pem [alpn http/1.1]\n");
  });

  it("loses every line of a file that is dropped", async () => {
    writeFileSync(path, "/certs/a.pem a.example\n/own/x.pem\n/certs/a.pem [alpn h2] b.example\n");
    await list.drop(["/certs/a.pem"]);
    expect(text()).toBe("/own/x.pem\n");
  });

  it("is not written where nothing changes", async () => {
    writeFileSync(path, "/certs/a.pem\n");
    const { ino } = statSync(path);
    await list.add(["/certs/a.pem"], undefined);
    await list.drop(["/certs/b.pem"]);
    expect(statSync(path).ino).toBe(ino);
  });

  it("is read once, and again when somebody has changed it", async () => {
    const unseen = (content: string): void => {
      writeFileSync(path, content);
      utimesSync(path, 1_000, 1_000);
    };
    unseen("/certs/a.pem\n");
    expect([...(await list.files())]).toEqual(["/certs/a.pem"]);
    unseen("/certs/b.pem\n");
    expect([...(await list.files())]).toEqual(["/certs/a.pem"]);
    utimesSync(path, 1_000, 1_001);
    expect([...(await list.files())]).toEqual(["/certs/b.pem"]);
    await list.add(["/certs/c.pem"], undefined);
    writeFileSync(path, `${text()}/certs/d.pem\n`);
    expect([...(await list.files())]).toEqual(["/certs/b.pem", "/certs/c.pem", "/certs/d.pem"]);
  });

  it("stays a link where it is one", async () => {
    const real = join(tempDir("certherd-crt-list"), "real");
    mkdirSync(real);
    writeFileSync(join(real, "list"), "");
    symlinkSync(join(real, "list"), path);
    await list.add(["/certs/a.pem"], undefined);
    expect(readFileSync(join(real, "list"), "utf8")).toBe("/certs/a.pem\n");
  });

  it("that is not there is not made, as the lines of others would be lost", async () => {
    await expect(list.files()).rejects.toMatchObject({ code: "node_misconfigured", disposition: "node" });
    await expect(list.add(["/certs/a.pem"], undefined)).rejects.toThrow("not on disk");
  });
});
