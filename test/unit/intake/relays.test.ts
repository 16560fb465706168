import { describe, expect, it } from "vitest";
import { parseRelayRule, RelayPolicy, type RelayRule } from "../../../src/core/relays.ts";
import { CallersRelays } from "../../../src/intake/relays.ts";
import { checkRow } from "../../../src/intake/row.ts";

const LEADS: Record<string, string[]> = {
  "inside.example.com": ["10.0.0.5"],
  "outside.example.com": ["8.8.8.8"],
  "both.example.com": ["8.8.8.8", "127.0.0.1"],
};

function guard(rules: RelayRule[] = []) {
  const asked: string[] = [];
  let now = 0;
  const relays = new CallersRelays(new RelayPolicy(rules), { now: () => now }, async (host) => {
    asked.push(host);
    const found = LEADS[host];
    if (!found) throw new Error("ENOTFOUND");
    return found;
  });
  return { relays, asked, later: (ms: number) => (now += ms) };
}

function row(relays: CallersRelays | undefined, relay: string, port = "25") {
  const cells = {
    DOMAIN: "a.example",
    FROMAddr: "f@x.example",
    TOAddr: "t@x.example",
    RELAYAddr: relay,
    RELAYPort: port,
  };
  return checkRow(cells, { line: 3, knownCas: [], dns01: false, ...(relays ? { relays } : {}) });
}

describe("relays of rows that come over HTTP", () => {
  it.each([
    "10.0.0.5",
    "127.0.0.1",
    "[::1]",
    "inside.example.com",
    "INSIDE.example.com.",
    "both.example.com",
  ])("%s is a fault of that row, in that column", async (relay) => {
    const { relays } = guard();
    await relays.prepare([relay]);
    expect(row(relays, relay)).toEqual({
      faults: [
        expect.objectContaining({
          line: 3,
          column: "RELAYAddr",
          value: relay,
          reason: expect.stringContaining("mail.relays"),
        }),
      ],
    });
  });

  it("may be public, allowed, or not to be looked up now; the route says that it is to be looked at again", async () => {
    const rule = parseRelayRule("10.0.0.5:2525") as RelayRule;
    const { relays } = guard([rule]);
    await relays.prepare(["outside.example.com", "10.0.0.5", "nowhere.example.com", "", "no host"]);
    for (const [relay, port] of [
      ["outside.example.com", "25"],
      ["10.0.0.5", "2525"],
      ["nowhere.example.com", "25"],
    ] as const)
      expect(row(relays, relay, port)).toMatchObject({ spec: { mail: { relay, checked: true } } });
    expect(row(relays, "10.0.0.5", "25")).toHaveProperty("faults");
  });

  it("are not looked at where the operator's own shell gives them", () => {
    const result = row(undefined, "10.0.0.5");
    expect(result).toMatchObject({ spec: { mail: { relay: "10.0.0.5" } } });
    expect(JSON.stringify(result)).not.toContain("checked");
  });

  it("are looked up once for many rows, and again after a while", async () => {
    const { relays, asked, later } = guard();
    const many = Array.from({ length: 1_000 }, () => "outside.example.com");
    await relays.prepare(many);
    await relays.prepare(many);
    expect(asked).toEqual(["outside.example.com"]);
    later(120_000);
    await relays.prepare(many);
    expect(asked).toHaveLength(2);
  });

  it("are looked up for a hundred names at a time, and no more", async () => {
    const { relays, asked } = guard();
    await relays.prepare(Array.from({ length: 1_000 }, (_, index) => `mx${index}.example.com`));
    expect(asked).toHaveLength(100);
  });
});
