import { describe, expect, it } from "vitest";
import { canonical, isPublic, Vips } from "../../../src/core/addresses.ts";
import { AppError } from "../../../src/core/errors.ts";

describe("which addresses a CA connects to", () => {
  it.each([
    ["0.0.0.0", "0.255.255.255"],
    ["10.0.0.0", "10.255.255.255"],
    ["100.64.0.0", "100.127.255.255"],
    ["127.0.0.1", "127.255.255.255"],
    ["169.254.0.0", "169.254.169.254"],
    ["172.16.0.0", "172.31.255.255"],
    ["192.0.0.0", "192.0.0.171"],
    ["192.0.2.1", "192.31.196.1"],
    ["192.52.193.1", "192.88.99.1"],
    ["192.168.0.0", "192.168.255.255"],
    ["192.175.48.1", "198.18.0.0"],
    ["198.19.255.255", "198.51.100.9"],
    ["203.0.113.7", "224.0.0.1"],
    ["239.255.255.255", "255.255.255.255"],
  ])("%s and %s are not public", (...addresses) => {
    expect(addresses.filter(isPublic)).toEqual([]);
  });

  it.each([
    ["::", "::1"],
    ["::7f00:1", "::ffff:8.8.8.8"],
    ["::ffff:7f00:1", "64:ff9b::8.8.8.8"],
    ["64:ff9b:1::1", "100::1"],
    ["2001::1", "2001:1ff:ffff::1"],
    ["2001:db8::1", "2002:7f00:1::1"],
    ["2620:4f:8000::1", "3fff:fff::1"],
    ["5f00::1", "fc00::1"],
    ["fdff::1", "fe80::1"],
    ["fec0::1", "ff02::1"],
    ["fe80::1%eth0", "4000::1"],
  ])("%s and %s are not public", (...addresses) => {
    expect(addresses.filter(isPublic)).toEqual([]);
  });

  it("what lies beside the special ranges is public", () => {
    const beside = [
      "1.0.0.0",
      "9.255.255.255",
      "11.0.0.0",
      "100.63.255.255",
      "100.128.0.0",
      "172.15.255.255",
    ];
    beside.push("172.32.0.0", "192.0.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255");
    beside.push("2001:200::1", "2606:4700::1", "2a00:1450::1", "2003::1", "3ffe::1");
    expect(beside.filter((address) => !isPublic(address))).toEqual([]);
  });

  it("what is no address is not public", () => {
    expect(["", "example.com", "1.2.3", "0x7f.1", "[::1]"].filter(isPublic)).toEqual([]);
  });
});

describe("VIPs", () => {
  it("are found in every spelling, and by family", () => {
    const vips = new Vips(["203.0.113.7", " 2001:DB8:0::1 "]);
    expect(vips.has("2001:db8::1")).toBe(true);
    expect(vips.has("2001:0db8:0000:0000:0000:0000:0000:0001")).toBe(true);
    expect(vips.has("203.0.113.8")).toBe(false);
    expect(vips.of(4)).toEqual(["203.0.113.7"]);
    expect(vips.of(6)).toEqual(["2001:db8::1"]);
  });

  it("are not found as a mapped address, to which no CA connects", () => {
    expect(new Vips(["203.0.113.7"]).has("::ffff:203.0.113.7")).toBe(false);
  });

  it("that are no addresses are refused in a sentence", () => {
    expect(() => new Vips(["lb.example.com"])).toThrow(AppError);
    expect(() => new Vips(["fe80::1%eth0"])).toThrow(/no IP address/);
    expect(canonical("nonsense")).toBeUndefined();
  });
});
