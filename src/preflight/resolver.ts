import { Resolver } from "node:dns/promises";
import { isIP } from "node:net";
import { usageError } from "../core/errors.ts";
import type { CaaRecord } from "./caa.ts";

export type QueryType = "A" | "AAAA" | "CAA";

/** No answer, or one that is none. Says nothing about the name. */
export class ResolverFailure extends Error {
  /** Ready to be shown. */
  constructor(resolver: string, name: string, type: QueryType, why: string) {
    super(
      `The resolver ${resolver} did not answer for ${name} ${type} (${why}). That says nothing about the name; it is asked again.`,
    );
    this.name = "ResolverFailure";
  }
}

/** Each method gives [] for a name or a record that does not exist, and throws ResolverFailure where nobody can tell. */
export interface Dns {
  a(name: string): Promise<readonly string[]>;
  aaaa(name: string): Promise<readonly string[]>;
  caa(name: string): Promise<readonly CaaRecord[]>;
  /** Ends what is being asked: it fails with ResolverFailure. */
  close(): void;
}

export interface DnsOptions {
  /** `address` or `address:port`, `[address]:port` for IPv6; empty for the system's. */
  servers: readonly string[];
  /** Milliseconds for one try. */
  timeout: number;
  /** How often each server is asked. */
  tries: number;
}

/** NXDOMAIN and NODATA (RFC 2308 §2), as c-ares calls them. */
const NONE = new Set(["ENOTFOUND", "ENODATA"]);

/** c-ares' codes in the words of RFC 1035 §4.1.1, where they have some. */
const WORDS: Readonly<Record<string, string>> = {
  ESERVFAIL: "SERVFAIL",
  EREFUSED: "REFUSED",
  EFORMERR: "FORMERR",
  ENOTIMP: "NOTIMP",
  ETIMEOUT: "no answer in time",
  ECONNREFUSED: "connection refused",
  ECANCELLED: "given up, as this process ends",
};

/** Throws `preflight_resolver` (usage) for a server that is no address. */
export function createDns({ servers, timeout, tries }: DnsOptions): Dns {
  const resolver = new Resolver({ timeout, tries });
  for (const server of servers) checkServer(server);
  if (servers.length > 0) resolver.setServers(servers);
  const shown = () => resolver.getServers().join(", ") || "of the system";
  const ask = async <T>(name: string, type: QueryType, query: () => Promise<T[]>): Promise<T[]> => {
    try {
      return await query();
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "unknown";
      if (NONE.has(code)) return [];
      throw new ResolverFailure(shown(), name, type, WORDS[code] ?? code);
    }
  };
  return {
    a: (name) => ask(name, "A", () => resolver.resolve4(name)),
    aaaa: (name) => ask(name, "AAAA", () => resolver.resolve6(name)),
    caa: async (name) => (await ask(name, "CAA", () => resolver.resolveCaa(name))).map(caaRecord),
    close: () => resolver.cancel(),
  };
}

function checkServer(server: string): void {
  const bare = isIP(server) !== 0 ? server : server.replace(/:\d{1,5}$/, "").replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare) !== 0) return;
  throw usageError(
    "preflight_resolver",
    `The resolver "${server}" is no address: give one, such as 192.0.2.53 or 192.0.2.53:53.`,
  );
}

/** Node gives the flags as `critical`, and the property under its tag, as the record spells it. */
function caaRecord(record: object): CaaRecord {
  let flags = 0;
  let property: CaaRecord = { flags, tag: "", value: "" };
  for (const [key, value] of Object.entries(record)) {
    if (key === "critical" && typeof value === "number") flags = value;
    else if (typeof value === "string" && key !== "type") property = { flags, tag: key, value };
  }
  return { ...property, flags };
}
