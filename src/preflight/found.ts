import { type Family, isPublic, type Vips } from "../core/addresses.ts";
import type { Outcome } from "./probe.ts";
import type { Dns } from "./resolver.ts";

export interface Address {
  address: string;
  family: Family;
}

/** One address of a name, and what came of asking it; no outcome where it was not asked, as a private one never is. */
export interface Found extends Address {
  /** A private one that is a VIP is "vip". */
  kind: "vip" | "public" | "private";
  outcome: Outcome | undefined;
}

/**
 * The addresses of a name, IPv4 first. One record type that the resolver does not answer for is done without where the
 * other one has an address, as Boulder does (`getAddrs` of va/dns.go): some name servers never answer for AAAA.
 * Throws ResolverFailure.
 */
export async function lookUp(dns: Dns, name: string): Promise<Address[]> {
  const answers = await Promise.allSettled([dns.a(name), dns.aaaa(name)]);
  const found = answers.flatMap((answer, index) =>
    answer.status === "rejected"
      ? []
      : answer.value.map((address): Address => ({ address, family: index === 0 ? 4 : 6 })),
  );
  const failure = answers.find((answer) => answer.status === "rejected");
  if (found.length === 0 && failure !== undefined) throw failure.reason;
  return found;
}

export function classify({ address, family }: Address, vips: Vips): Omit<Found, "outcome"> {
  const kind = vips.has(address) ? "vip" : isPublic(address) ? "public" : "private";
  return { address, family, kind };
}
