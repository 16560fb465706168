import { describe, expect, it } from "vitest";
import { parseRelayRule, policyOf, type RelayRule } from "../../../src/core/relays.ts";

function rules(...texts: string[]): RelayRule[] {
  return texts.map((text) => {
    const rule = parseRelayRule(text);
    if ("reason" in rule) throw new Error(`${text}: ${rule.reason}`);
    return rule;
  });
}

const fault = (relay: string, addresses: string[], port = 25, relays: RelayRule[] = []) =>
  policyOf({ relays }).faultOf(relay, port, addresses);

describe("a relay that is named over HTTP", () => {
  it("may be a public address, or a name that leads to such ones alone", () => {
    expect(fault("8.8.8.8", ["8.8.8.8"])).toBeUndefined();
    expect(fault("mx.example.com", ["8.8.8.8", "2606:4700::1"])).toBeUndefined();
    expect(fault("mx.example.com", ["8.8.8.8", "10.0.0.5"])).toContain(
      "leads to an address that is not public",
    );
  });

  it.each([
    "127.0.0.1",
    "0.0.0.0",
    "10.0.0.5",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::ffff:127.0.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "ff02::1",
  ])("may not be %s", (address) => {
    expect(fault(address, [address])).toContain("no public address");
  });

  it("does not tell where a name leads", () => {
    expect(fault("mx.example.com", ["10.1.2.3"])).not.toContain("10.1.2.3");
  });
});

describe("relays of the configuration", () => {
  it("allow a range, or an address, at any port or at some", () => {
    const given = rules("10.0.0.0/8", "192.168.1.1:25,587", "[fd00::/8]:25", "fd01::1");
    expect(fault("10.1.2.3", ["10.1.2.3"], 2525, given)).toBeUndefined();
    expect(fault("192.168.1.1", ["192.168.1.1"], 587, given)).toBeUndefined();
    expect(fault("192.168.1.1", ["192.168.1.1"], 465, given)).toBeDefined();
    expect(fault("fd02::1", ["fd02::1"], 25, given)).toBeUndefined();
    expect(fault("fd02::1", ["fd02::1"], 26, given)).toBeDefined();
    expect(fault("fd01::1", ["fd01::1"], 26, given)).toBeUndefined();
    expect(fault("mx.example.com", ["10.0.0.5", "192.168.1.2"], 25, given)).toBeDefined();
  });

  it("allow a name wherever it leads, in any case", () => {
    const given = rules("Mail.Example.com:25");
    expect(fault("mail.EXAMPLE.com", ["127.0.0.1"], 25, given)).toBeUndefined();
    expect(fault("mail.example.com", ["127.0.0.1"], 26, given)).toBeDefined();
    expect(fault("www.mail.example.com", ["127.0.0.1"], 25, given)).toBeDefined();
  });

  it("allow what the configuration itself sends through", () => {
    const policy = policyOf({ operator: { relay: "127.0.0.1", port: 2525 } });
    expect(policy.faultOf("127.0.0.1", 2525, ["127.0.0.1"])).toBeUndefined();
    expect(policy.faultOf("127.0.0.1", 25, ["127.0.0.1"])).toBeDefined();
  });

  it.each(["", "10.0.0.0/33", "10.0.0.0/8:0", "10.0.0.1:70000", "a_b!", "[10.0.0.1", "http://mx", "a:b"])(
    "%j is none",
    (text) => {
      expect(parseRelayRule(text)).toHaveProperty("reason");
    },
  );
});
