import { AppError } from "../core/errors.ts";
import type { Lookup } from "./lookup.ts";

/** CNAMEs in a row; resolvers stop at about as many, and so would the CA's. */
const MOST = 10;

/** The name that the CA asks for a dns-01 answer (RFC 8555 §8.4). `domain`: of the identifier, without `*.`. */
export function challengeName(domain: string): string {
  return `_acme-challenge.${domain}`;
}

/**
 * Where a name leads by CNAMEs: itself if it is none. The TXT has to stand there, as nothing may stand beside a CNAME
 * (RFC 1034 §3.6.2). Throws `dns_delegation` (attention) for a circle or too many, and what the look-up throws.
 */
export async function followCname(name: string, lookup: Pick<Lookup, "cname">): Promise<string> {
  const seen = [name];
  for (;;) {
    const at = seen.at(-1) ?? name;
    const target = await lookup.cname(at);
    if (target === undefined) return at;
    if (seen.includes(target)) throw faulty(name, seen, target, "lead in a circle");
    if (seen.length > MOST) throw faulty(name, seen, target, `are more than ${MOST}`);
    seen.push(target);
  }
}

function faulty(name: string, seen: readonly string[], target: string, what: string): AppError {
  const chain = [...seen, target].slice(0, 4).join(" → ");
  return new AppError(
    `The CNAMEs of ${name} ${what} (${chain}${seen.length > 3 ? " → …" : ""}): let them end at a name without one.`,
    { code: "dns_delegation", disposition: "attention", identifier: name },
  );
}
