import { isIP } from "node:net";
import { type AddressRange, isPublic, parseRange } from "./addresses.ts";
import { checkHost } from "./names.ts";

/** Relays that the operator allows: a host by its name, or a range of addresses; at some ports, or at any. */
export interface RelayRule {
  host?: string;
  range?: AddressRange;
  ports?: readonly number[];
}

/**
 * Public by their number, and yet a cloud's own service to its machines:
 * https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
 */
const CLOUDS_OWN = new Set(["168.63.129.16"]);

/** "mail.example.com", "10.0.0.0/8", "10.0.0.5:25,587", "[2001:db8::25]:25". */
export function parseRelayRule(text: string): RelayRule | { reason: string } {
  if (parseRange(text)) return ruleOf(text, undefined);
  const [, inBrackets, bare = "", list] =
    /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+(?:,\d+)*))?$/.exec(text) ?? [];
  const ports = list?.split(",").map(Number);
  if (ports?.some((port) => port < 1 || port > 65_535)) return { reason: "a port is from 1 to 65535" };
  return ruleOf(inBrackets ?? bare, ports);
}

function ruleOf(target: string, ports: readonly number[] | undefined): RelayRule | { reason: string } {
  const at = ports === undefined ? {} : { ports };
  const range = parseRange(target);
  if (range) return { range, ...at };
  const checked = checkHost(target);
  if (checked.ok) return { host: checked.host, ...at };
  return {
    reason: "give a host's name, an address or a range such as 10.0.0.0/8, with :25 or :25,587 behind",
  };
}

/** Which relays whoever asks over HTTP may name: public addresses, and what the operator allows beside them. */
export class RelayPolicy {
  readonly #rules: readonly RelayRule[];

  constructor(rules: readonly RelayRule[], configured: readonly { relay: string; port: number }[] = []) {
    const own = configured.map(({ relay, port }) => {
      const range = parseRange(relay);
      return { ...(range ? { range } : { host: relay.toLowerCase() }), ports: [port] };
    });
    this.#rules = [...rules, ...own];
  }

  /** Whether it is allowed by its name, wherever that leads. */
  allowsName(relay: string, port: number): boolean {
    return this.#rules.some(({ host, ports }) => host === relay.toLowerCase() && isAmong(ports, port));
  }

  allowsAddress(address: string, port: number): boolean {
    if (isPublic(address) && !CLOUDS_OWN.has(address)) return true;
    return this.#rules.some(({ range, ports }) => range?.has(address) === true && isAmong(ports, port));
  }

  /** Why a relay with these addresses may not be used; undefined where it may. Says nothing of what a name leads to. */
  faultOf(relay: string, port: number, addresses: readonly string[]): string | undefined {
    if (this.allowsName(relay, port) || addresses.every((each) => this.allowsAddress(each, port)))
      return undefined;
    const what = isIP(relay) === 0 ? "it leads to an address that is not public" : "it is no public address";
    return `${what}: over HTTP a relay is a public one, or one of mail.relays in the configuration`;
  }
}

/** What the configuration allows: `relays`, and what it names as a relay itself. */
export function policyOf(mail: {
  relays?: readonly RelayRule[];
  operator?: { relay: string; port: number };
}): RelayPolicy {
  return new RelayPolicy(mail.relays ?? [], mail.operator ? [mail.operator] : []);
}

function isAmong(ports: readonly number[] | undefined, port: number): boolean {
  return ports === undefined || ports.includes(port);
}
