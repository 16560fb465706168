import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { rfc3339 } from "../core/clock.ts";
import { BLOCK, commonName } from "../pki/chain.ts";
import type { House } from "./house.ts";

/** One certificate of a chain, as a person reads it. */
interface ChainLink {
  subject: string;
  issuer: string;
  serial: string;
  notBefore: string;
  notAfter: string;
}

/** What is deployed, leaf first, from the public files; empty where they are not there, or cannot be read. */
export async function chainOf(
  { certificateFiles }: Pick<House, "certificateFiles">,
  id: string,
): Promise<ChainLink[]> {
  const pem = await readFile(certificateFiles.paths(id).fullchain, "utf8").catch(() => "");
  try {
    return (pem.match(BLOCK) ?? []).map(knownLinkOf);
  } catch {
    return [];
  }
}

/** By their PEM: whoever looks at a certificate asks again and again, and nearly all have the same issuers. */
const known = new Map<string, ChainLink>();
const MOST_KNOWN = 500;

function knownLinkOf(block: string): ChainLink {
  const link = known.get(block) ?? linkOf(block);
  known.delete(block);
  known.set(block, link);
  for (const oldest of known.keys()) {
    if (known.size <= MOST_KNOWN) break;
    known.delete(oldest);
  }
  return link;
}

function linkOf(block: string): ChainLink {
  const { subject, subjectAltName, issuer, serialNumber, validFrom, validTo } = new X509Certificate(block);
  return {
    // A leaf need not have a subject (RFC 5280 §4.1.2.6): its names are what it is for.
    subject: subject ? commonName(subject) : (subjectAltName ?? ""),
    issuer: commonName(issuer),
    serial: serialNumber.toUpperCase(),
    notBefore: rfc3339(Date.parse(validFrom)),
    notAfter: rfc3339(Date.parse(validTo)),
  };
}
