import { BlockList, isIP, SocketAddress } from "node:net";
import { usageError } from "./errors.ts";

export type Family = 4 | 6;

/**
 * What no CA connects to: every row of IANA's registry, as Boulder takes it, the few that are reachable included.
 * https://www.iana.org/assignments/iana-ipv4-special-registry
 */
const SPECIAL_V4: readonly (readonly [range: string, what: string])[] = [
  ["0.0.0.0/8", "this network, RFC 791"],
  ["10.0.0.0/8", "private use, RFC 1918"],
  ["100.64.0.0/10", "shared by a provider's customers, RFC 6598"],
  ["127.0.0.0/8", "loopback, RFC 1122"],
  ["169.254.0.0/16", "link-local, RFC 3927"],
  ["172.16.0.0/12", "private use, RFC 1918"],
  ["192.0.0.0/24", "IETF protocols, RFC 6890"],
  ["192.0.2.0/24", "documentation, RFC 5737"],
  ["192.31.196.0/24", "AS112, RFC 7535"],
  ["192.52.193.0/24", "AMT, RFC 7450"],
  ["192.88.99.0/24", "6to4 relays, RFC 7526"],
  ["192.168.0.0/16", "private use, RFC 1918"],
  ["192.175.48.0/24", "AS112, RFC 7534"],
  ["198.18.0.0/15", "benchmarks, RFC 2544"],
  ["198.51.100.0/24", "documentation, RFC 5737"],
  ["203.0.113.0/24", "documentation, RFC 5737"],
  ["224.0.0.0/4", "multicast, RFC 5771; in a registry of its own"],
  ["240.0.0.0/4", "reserved and broadcast, RFC 1112, RFC 919"],
];

/** https://www.iana.org/assignments/iana-ipv6-special-registry */
const SPECIAL_V6: readonly (readonly [range: string, what: string])[] = [
  ["::/128", "unspecified, RFC 4291"],
  ["::1/128", "loopback, RFC 4291"],
  ["::ffff:0:0/96", "IPv4-mapped, RFC 4291"],
  ["64:ff9b::/96", "IPv4 translated, RFC 6052"],
  ["64:ff9b:1::/48", "IPv4 translated, RFC 8215"],
  ["100::/64", "discard, RFC 6666"],
  ["100:0:0:1::/64", "dummy prefix, RFC 9780"],
  ["2001::/23", "IETF protocols (Teredo, ORCHID and others), RFC 2928"],
  ["2001:db8::/32", "documentation, RFC 3849"],
  ["2002::/16", "6to4, RFC 3056"],
  ["2620:4f:8000::/48", "AS112, RFC 7534"],
  ["3fff::/20", "documentation, RFC 9637"],
  ["5f00::/16", "segment routing, RFC 9602"],
  ["fc00::/7", "unique local, RFC 4193"],
  ["fe80::/10", "link-local, RFC 4291"],
];

/** All of IPv6 that is given out: https://www.iana.org/assignments/ipv6-address-space */
const GLOBAL_V6 = ["2000::/3"];

// One list a family: a list of both would find every IPv4 address in ::ffff:0:0/96.
const specialV4 = blockList("ipv4", SPECIAL_V4.map(rangeOf));
const specialV6 = blockList("ipv6", SPECIAL_V6.map(rangeOf));
const globalV6 = blockList("ipv6", GLOBAL_V6);

function rangeOf([range]: readonly [string, string]): string {
  return range;
}

function blockList(family: "ipv4" | "ipv6", ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [prefix = "", bits] = range.split("/");
    list.addSubnet(prefix, Number(bits), family);
  }
  return list;
}

/** Whether a CA would connect to an address. False for what is no address at all. */
export function isPublic(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !specialV4.check(address, "ipv4");
  return family === 6 && globalV6.check(address, "ipv6") && !specialV6.check(address, "ipv6");
}

/** One spelling for each address (RFC 5952), so that two can be compared. Undefined for what is none, or has a zone. */
export function canonical(address: string): string | undefined {
  const family = isIP(address);
  if (family === 0 || address.includes("%")) return undefined;
  return new SocketAddress({ address, family: family === 4 ? "ipv4" : "ipv6" }).address;
}

export interface AddressRange {
  has(address: string): boolean;
}

/** "10.0.0.0/8", "2001:db8::/32", or a single address; undefined for what is none. */
export function parseRange(text: string): AddressRange | undefined {
  const [, prefix = "", bits] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(prefix);
  const most = version === 4 ? 32 : 128;
  const size = Number(bits ?? most);
  if (version === 0 || size > most) return undefined;
  const family = version === 4 ? "ipv4" : "ipv6";
  const list = blockList(family, [`${prefix}/${size}`]);
  return { has: (address) => isIP(address) === version && list.check(address, family) };
}

/** The addresses under which the load balancer is reached from outside: what the customers' names have to point to. */
export class Vips {
  readonly #addresses: ReadonlySet<string>;

  /** Throws `preflight_vip` (usage) for what is no IP address. */
  constructor(vips: readonly string[]) {
    this.#addresses = new Set(
      vips.map((vip) => {
        const address = canonical(vip.trim());
        if (address !== undefined) return address;
        throw usageError(
          "preflight_vip",
          `The VIP "${vip}" is no IP address: give one, such as 203.0.113.7.`,
        );
      }),
    );
  }

  get areKnown(): boolean {
    return this.#addresses.size > 0;
  }

  has(address: string): boolean {
    return this.#addresses.has(canonical(address) ?? "");
  }

  of(family: Family): string[] {
    return [...this.#addresses].filter((address) => isIP(address) === family);
  }
}
