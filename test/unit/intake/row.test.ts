import { describe, expect, it } from "vitest";
import type { CertificateSpec } from "../../../src/core/certificate.ts";
import { checkRow, type Fault, type RowContext } from "../../../src/intake/row.ts";

const context: RowContext = { line: 7, knownCas: ["letsencrypt", "zerossl"], dns01: true };

function specOf(cells: Record<string, string>, more: Partial<RowContext> = {}): CertificateSpec {
  const checked = checkRow(cells, { ...context, ...more });
  if ("faults" in checked) throw new Error(JSON.stringify(checked.faults));
  return checked.spec;
}

function faultsOf(
  cells: Record<string, string>,
  more: Partial<RowContext> & { faults?: Fault[] } = {},
): Fault[] {
  const checked = checkRow(cells, { ...context, ...more });
  return "faults" in checked ? checked.faults : [];
}

/** The columns of a row's faults, when that one cell is put into an otherwise good row. */
function columnsFor(column: string, cell: string, more: Partial<RowContext> = {}): string[] {
  const mail = { FROMAddr: "f@x.example", TOAddr: "t@x.example", RELAYAddr: "relay.example" };
  return faultsOf({ DOMAIN: "a.example", ...mail, [column]: cell }, more).map((fault) => fault.column);
}

describe("a good row", () => {
  it("of a name alone gets the defaults", () => {
    expect(specOf({ DOMAIN: "A.Example." })).toEqual({
      names: ["a.example"],
      vipPort: 443,
      acmePort: 8888,
      keyType: "ec256",
      challenge: "http-01",
      priority: 50,
    });
  });

  it("keeps all that it says", () => {
    const cells = {
      DOMAIN: "*.b.example; b.example|müller.de  B.example",
      VIPPort: " 8443 ",
      ACMEPort: "9000",
      FROMAddr: "Certs@b.example",
      TOAddr: "ops@MÜLLER.de",
      RELAYAddr: "localhost",
      RELAYPort: "2525",
      CA: "ZeroSSL",
      Profile: "tlsserver",
      KeyType: "EC-384",
      Challenge: "DNS-01",
      Priority: "Urgent",
    };
    expect(specOf(cells)).toEqual({
      names: ["*.b.example", "b.example", "xn--mller-kva.de"],
      vipPort: 8443,
      acmePort: 9000,
      mail: { from: "Certs@b.example", to: "ops@xn--mller-kva.de", relay: "localhost", port: 2525 },
      ca: "zerossl",
      profile: "tlsserver",
      keyType: "ec384",
      challenge: "dns-01",
      priority: 1,
    });
  });

  it("leaves the sender to the configuration", () => {
    const cells = { DOMAIN: "a.example", TOAddr: "t@x.example", RELAYAddr: "192.0.2.25" };
    expect(specOf(cells, { mailFrom: "certs@example.com" }).mail).toEqual({
      to: "t@x.example",
      relay: "192.0.2.25",
      port: 25,
    });
  });

  it("wants no mail for a sender alone", () => {
    expect(specOf({ DOMAIN: "a.example", FROMAddr: "f@x.example", TOAddr: " " }).mail).toBeUndefined();
  });

  it("has up to 100 names, however often each is said", () => {
    const names = Array.from({ length: 100 }, (_, i) => `n${i}.example`);
    expect(specOf({ DOMAIN: [...names, "N0.Example."].join(" ") }).names).toEqual(names);
  });

  it.each([
    ["VIPPort", ["1", "443", "65535"]],
    [
      "FROMAddr",
      [
        "a@b",
        "first.last+tag@x.example",
        "o'hara@x.example",
        "root@localhost",
        "a@[192.0.2.1]",
        "a@[IPv6:::1]",
      ],
    ],
    ["FROMAddr", [`${"a".repeat(64)}@x.example`]],
    ["RELAYAddr", ["localhost", "192.0.2.1", "::1", "[2001:db8::1]", "mail.x.example.", "bücher.example"]],
    ["KeyType", ["ec256", "ec-256", "EC384", "2048", "3072", "4096", "rsa2048", "RSA-4096"]],
    ["Priority", ["1", "100", "urgent", "HIGH", "normal", "low", ""]],
    ["Profile", ["classic", "TLSserver", "a".repeat(64)]],
    ["CA", ["letsencrypt", ""]],
    ["Challenge", ["http-01", "dns-01", ""]],
  ])("%s may be one of %j", (column, cells) => {
    for (const cell of cells) expect([cell, columnsFor(column, cell)]).toEqual([cell, []]);
  });

  it("reads acme.sh's key types as ours", () => {
    expect(specOf({ DOMAIN: "a.example", KeyType: "4096" }).keyType).toBe("rsa4096");
  });
});

describe("a bad row", () => {
  it.each([
    [
      "VIPPort",
      ["0", "65536", "443.0", "4e2", "-1", "+443", "0x1bb", "https", "443 444", "99999999999", "４４３"],
    ],
    ["ACMEPort", ["0", "x"]],
    ["RELAYPort", ["0", "x"]],
    [
      "TOAddr",
      ["x", "@x.example", "a@", "a@b@c", "a b@x.example", "a@x y", "Me <a@x.example>", ".a@x.example"],
    ],
    [
      "TOAddr",
      ["a..b@x.example", "ä@x.example", `${"a".repeat(65)}@x.example`, "a@x_y.example", "a@-x.example"],
    ],
    ["TOAddr", ["a@[192.0.2.999]", "a@[x]", "a@192.0.2.1", `a@${"x.".repeat(125)}example`, '"a"@x.example']],
    ["FROMAddr", ["x"]],
    [
      "RELAYAddr",
      ["my_relay", "relay.example:25", "smtp://relay.example", "192.0.2.256", "a b", "*.x.example", "a@b"],
    ],
    ["CA", ["letsencrypt2", "x"]],
    ["Profile", ["a b", "ü", "a_b", "a".repeat(65)]],
    ["KeyType", ["ec521", "1024", "rsa", "-"]],
    ["Challenge", ["tls-alpn-01", "dns", "http"]],
    ["Priority", ["0", "101", "1.5", "-1", "asap", "toString"]],
    ["DOMAIN", ["", " ; ", "localhost", "a.example b_c.example", "a.example,b.example"]],
  ])("%s may not be one of %j", (column, cells) => {
    for (const cell of cells) expect([cell, columnsFor(column, cell)]).toEqual([cell, [column]]);
  });

  it("reports all its faults, each with line, domain, column, value and reason", () => {
    const cells = {
      DOMAIN: "a_b.example ok.example 192.0.2.1",
      VIPPort: "x",
      TOAddr: "nobody",
      RELAYPort: "70000",
    };
    const faults = faultsOf({ ...cells, KeyType: "dsa", Priority: "0" });
    expect(faults.map((fault) => [fault.column, fault.value])).toEqual([
      ["DOMAIN", "a_b.example"],
      ["DOMAIN", "192.0.2.1"],
      ["VIPPort", "x"],
      ["TOAddr", "nobody"],
      ["RELAYPort", "70000"],
      ["RELAYAddr", ""],
      ["FROMAddr", ""],
      ["KeyType", "dsa"],
      ["Priority", "0"],
    ]);
    for (const fault of faults) {
      expect(fault).toMatchObject({ line: 7, domain: cells.DOMAIN });
      expect(fault.reason).not.toBe("");
    }
  });

  it("has TOAddr without RELAYAddr, or the other way round, or no sender", () => {
    expect(columnsFor("RELAYAddr", "")).toEqual(["RELAYAddr"]);
    expect(columnsFor("TOAddr", "")).toEqual(["TOAddr"]);
    expect(columnsFor("FROMAddr", "")).toEqual(["FROMAddr"]);
    expect(columnsFor("FROMAddr", "", { mailFrom: "certs@example.com" })).toEqual([]);
  });

  it.each(["\r\nBcc: all@x.example", "\n", "\u0000", "\u001b[2J", "\u0085", "\u2028", "\ufffd", "\t"])(
    "has %j in a cell",
    (bad) => {
      for (const column of [
        "DOMAIN",
        "VIPPort",
        "FROMAddr",
        "TOAddr",
        "RELAYAddr",
        "CA",
        "Profile",
        "Priority",
      ]) {
        const faults = faultsOf({
          DOMAIN: "a.example",
          TOAddr: "t@x.example",
          RELAYAddr: "r",
          FROMAddr: "f@x.example",
          [column]: `x${bad}y`,
        });
        expect(faults.map((fault) => fault.column)).toEqual([column]);
        expect(faults[0]?.value).not.toMatch(/[\p{Cc}\u2028]/u);
      }
    },
  );

  it("shows escapes for control characters, at the cell's edges too", () => {
    expect(faultsOf({ DOMAIN: "a.example\r\n" })[0]).toMatchObject({
      domain: "a.example\r\n",
      value: "a.example\\r\\n",
    });
    expect(faultsOf({ DOMAIN: "a\u007f\u009b.example" })[0]?.value).toBe("a\\u007f\\u009b.example");
  });

  it("shows no more than 120 characters of a value, and no half of a letter", () => {
    for (const cell of [
      "x".repeat(5_000),
      "😀".repeat(200),
      `x${"😀".repeat(200)}`,
      "\u0001".repeat(60_000),
    ]) {
      const value = faultsOf({ DOMAIN: "a.example", Profile: cell })[0]?.value ?? "";
      expect(value.length).toBeLessThanOrEqual(120);
      expect(value).toMatch(/…$/);
      expect(value).not.toMatch(/[\ud800-\udbff](?![\udc00-\udfff])/);
    }
  });

  it("names a VIPPort without termination, the default one too", () => {
    const vipPorts = new Set([8443, 443]);
    expect(columnsFor("VIPPort", "443", { vipPorts })).toEqual([]);
    const faults = faultsOf({ DOMAIN: "a.example", VIPPort: "444" }, { vipPorts });
    expect(faults[0]?.reason).toMatch(/port 444.*443, 8443/);
    expect(columnsFor("VIPPort", "", { vipPorts: new Set([8443]) })).toEqual(["VIPPort"]);
  });

  it("has more than 100 names", () => {
    const names = Array.from({ length: 101 }, (_, i) => `n${i}.example`).join(";");
    expect(faultsOf({ DOMAIN: names })).toMatchObject([
      { column: "DOMAIN", reason: expect.stringMatching(/101 names/) },
    ]);
    const many = Array.from({ length: 20_000 }, (_, i) => `n_${i}`).join(" ");
    expect(faultsOf({ DOMAIN: many })).toHaveLength(101);
  });

  it("has a name that its own wildcard covers", () => {
    const faults = faultsOf({
      DOMAIN: "example.com *.example.com www.example.com a.www.example.com",
      Challenge: "dns-01",
    });
    expect(faults.map((fault) => fault.value)).toEqual(["www.example.com"]);
  });
});

describe("a wildcard", () => {
  const DOMAIN = "a.example *.a.example";
  it("goes with dns-01", () => expect(specOf({ DOMAIN, Challenge: "dns-01" }).challenge).toBe("dns-01"));

  it("is dns-01 where that is not said, and can be answered", () => {
    expect(specOf({ DOMAIN }).challenge).toBe("dns-01");
    expect(specOf({ DOMAIN: "a.example" }).challenge).toBe("http-01");
  });

  it("does not go with the Challenge http-01", () => {
    expect(faultsOf({ DOMAIN, Challenge: "http-01" })).toMatchObject(
      [{ column: "DOMAIN", value: "*.a.example", reason: /needs/ }].map((fault) => ({
        ...fault,
        reason: expect.stringMatching(fault.reason),
      })),
    );
  });

  it("needs a driver", () => {
    expect(faultsOf({ DOMAIN, Challenge: "dns-01" }, { dns01: false })).toMatchObject([
      { column: "Challenge", value: "dns-01", reason: "no dns-01 driver is configured" },
    ]);
    expect(faultsOf({ DOMAIN }, { dns01: false })[0]?.reason).toMatch(/no dns-01 driver is configured/);
  });
});

describe("faults found in reading", () => {
  const found: Fault = { line: 7, domain: "x", column: "8", value: "extra", reason: "too much" };
  it("are kept, and those of the cells added", () => {
    expect(faultsOf({ DOMAIN: "x", VIPPort: "y" }, { faults: [found] }).map((fault) => fault.column)).toEqual(
      ["8", "DOMAIN", "VIPPort"],
    );
    expect(faultsOf({ DOMAIN: "a.example" }, { faults: [found] })).toEqual([found]);
  });
  it("are all there is to say of a line without cells", () =>
    expect(faultsOf({}, { faults: [found] })).toEqual([found]));
});
