import { describe, expect, it } from "vitest";
import { AppError } from "../../../src/core/errors.ts";
import {
  isServiceName,
  matches,
  mergeServices,
  parseServices,
  renderServices,
  type Service,
} from "../../../src/deploy/targets/stunnel/services.ts";

const PATH = "/etc/stunnel/conf.d/certherd.conf";

function service(name: string, id = name.replace("*", "_")): Service {
  return { id, name, cert: `/certs/${id}.pem`, connect: "127.0.0.1:80" };
}

function claim(id: string, ...names: string[]) {
  return { id, names, cert: `/certs/${id}.pem`, connect: "127.0.0.1:80" };
}

const byName = (services: readonly Service[]): Record<string, string> =>
  Object.fromEntries(services.map(({ name, id }) => [name, id]));

describe("the file of services", () => {
  it("has a block for each name, names before patterns, longer patterns before shorter ones", () => {
    const names = ["*.example.com", "b.example.com", "*.a.example.com", "a.example.com"];
    const text = renderServices(
      names.map((name) => service(name)),
      "https",
    );
    expect(text.match(/^sni = .*$/gm)).toEqual([
      "sni = https:a.example.com",
      "sni = https:b.example.com",
      "sni = https:*.a.example.com",
      "sni = https:*.example.com",
    ]);
    expect(text).toContain(
      "\n# certherd: _.example.com\n[certherd-_.example.com]\nsni = https:*.example.com\ncert = /certs/_.example.com.pem\nconnect = 127.0.0.1:80\n",
    );
  });

  it("is the same in whatever order its services come, and reads back as what was written", () => {
    const all = ["c.example", "*.example", "a.example", "b.example"].map((name) => service(name));
    const text = renderServices(all, "https");
    expect(renderServices([...all].reverse(), "https")).toBe(text);
    expect(byName(parseServices(text, PATH))).toEqual(byName(all));
    expect(renderServices(parseServices(text, PATH), "https")).toBe(text);
  });

  it("can be empty", () => {
    expect(parseServices(renderServices([], "https"), PATH)).toEqual([]);
    expect(parseServices("", PATH)).toEqual([]);
  });

  it("keeps its services when the master is called otherwise", () => {
    const text = renderServices([service("a.example")], "old");
    expect(renderServices(parseServices(text, PATH), "new")).toContain("sni = new:a.example");
  });

  const written = renderServices([service("a.example"), service("b.example")], "https");
  it.each([
    ["an option added", `${written}TIMEOUTidle = 10\n`, 15],
    ["an option changed", written.replace("connect = 127.0.0.1:80", "exec = /bin/sh"), 8],
    ["a comment", written.replace("# certherd: b.example", "# my own"), 10],
    ["a section renamed", written.replace("[certherd-a.example]", "[mine]"), 5],
    ["a name twice", written + renderServices([service("a.example")], "https"), 19],
    ["a block that is cut off", written.slice(0, written.lastIndexOf("cert =")), 13],
  ])("is not ours any more with %s", (_, text, line) => {
    const read = (): unknown => parseServices(text, PATH);
    expect(read).toThrow(AppError);
    expect(read).toThrow(`Line ${line} of ${PATH}`);
  });
});

describe("claims", () => {
  it("replace what the certificate had, and leave the others", () => {
    const present = [service("a.example", "a"), service("gone.example", "a"), service("b.example", "b")];
    expect(byName(mergeServices(present, [claim("a", "a.example", "new.example")]))).toEqual({
      "a.example": "a",
      "new.example": "a",
      "b.example": "b",
    });
  });

  it("take a name from the certificate that has it; of two in a batch the later one has it", () => {
    const present = [service("a.example", "a"), service("b.example", "a")];
    const merged = mergeServices(present, [claim("c", "b.example"), claim("d", "b.example", "d.example")]);
    expect(byName(merged)).toEqual({ "a.example": "a", "b.example": "d", "d.example": "d" });
  });
});

describe("names", () => {
  it.each(["a.example", "*.a.example", "xn--bcher-kva.example", "_acme.example"])("%s can be one", (name) => {
    expect(isServiceName(name)).toBe(true);
  });

  it.each(["", "a.example\nexec = x", "a b", "A.example", "*", "a.*.example", "a.example]", "-a.example"])(
    "%j cannot",
    (name) => {
      expect(isServiceName(name)).toBe(false);
    },
  );

  it("are matched by patterns as stunnel does it, at any depth", () => {
    expect(matches("*.example.com", "a.example.com")).toBe(true);
    expect(matches("*.example.com", "b.a.example.com")).toBe(true);
    expect(matches("*.example.com", "example.com")).toBe(false);
    expect(matches("A.example.com", "a.example.com")).toBe(true);
  });
});
