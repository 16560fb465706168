import {
  type CertificateRecord,
  type CertificateSpec,
  type IssuedLeaf,
  namesKey,
  type Status,
} from "../core/certificate.ts";
import type { CertificateFile, Provenance } from "../store/files.ts";
import type { Examined } from "./examine.ts";
import type { Found } from "./found.ts";

/** What the one who adopts says of all of them. */
export type SpecTemplate = Pick<CertificateSpec, "vipPort" | "acmePort" | "mail" | "priority">;

/** Milliseconds: Let's Encrypt's certificates begin an hour before they are made. */
const BACKDATED = 3_600_000;
/** Milliseconds after its beginning in which a certificate has certainly been made. */
const MADE_WITHIN = 2 * 86_400_000;

/** A CA as `Certherd` knows it. `configured`: it may be ordered from. */
export interface KnownAs {
  name: string;
  configured: boolean;
  /** The first one of the configuration. */
  preferred: boolean;
}

/** What was asked for, as far as the certificate and the other client's settings tell. */
export function specFor(
  { names, keyType }: Pick<Examined, "names" | "keyType">,
  { challenge, profile }: Pick<Found, "challenge" | "profile">,
  ca: KnownAs | undefined,
  template: SpecTemplate,
): CertificateSpec {
  const { vipPort, acmePort, mail, priority } = template;
  return {
    names,
    vipPort,
    acmePort,
    ...(mail === undefined ? {} : { mail }),
    // Without it the first one is asked, as for any other certificate.
    ...(ca?.configured && !ca.preferred ? { ca: ca.name } : {}),
    // A profile is a CA's own word.
    ...(profile === undefined || !ca?.configured ? {} : { profile }),
    keyType,
    challenge: challengeFor(names, challenge),
    priority,
  };
}

/** A wildcard cannot be validated by http-01, whatever the settings say. */
export function challengeFor(
  names: readonly string[],
  challenge: CertificateSpec["challenge"],
): CertificateSpec["challenge"] {
  return names.some((name) => name.startsWith("*.")) ? "dns-01" : challenge;
}

/** The leaf as if it had been issued here, so that the CA's exemption of its renewal is known. */
export function leafFor(
  { leaf, names }: Examined,
  found: Pick<Found, "issuedAt" | "first">,
  ca: KnownAs | undefined,
  generation: number,
  now: number,
): IssuedLeaf {
  return {
    ...leaf,
    issuedAt: issuedAt(leaf.notBefore, found.issuedAt, now),
    ...(ca === undefined ? {} : { ca: ca.name }),
    set: namesKey(names),
    generation,
    // A renewal has taken no tokens of new orders and of domains, which a lost ledger is put together from.
    ...(found.first ? {} : { exempt: true }),
  };
}

/** Where the other client's word cannot be: an hour after it begins. */
function issuedAt(notBefore: number, told: number | undefined, now: number): number {
  const isLikely = told !== undefined && told >= notBefore && told <= notBefore + MADE_WITHIN && told <= now;
  return isLikely ? told : Math.min(now, notBefore + BACKDATED);
}

export function provenanceFor(
  { directory, orderUrl }: Pick<Found, "directory" | "orderUrl">,
  ca: KnownAs | undefined,
): Provenance | undefined {
  if (directory === undefined || ca === undefined) return undefined;
  return { ca: ca.name, directory, orderUrl: orderUrl ?? "" };
}

/** A certificate that is new here, with its first generation behind it. */
export function newRecord(
  id: string,
  spec: CertificateSpec,
  leaf: IssuedLeaf,
  status: Status,
  now: number,
): CertificateRecord {
  return { id, spec, status, attempts: 0, generation: 1, acceptedAt: now, leaf };
}

/** The other way round: what the index lacks of what the files have. */
export function recordOf(id: string, file: CertificateFile): CertificateRecord {
  const { version: _, name: __, provenance: ___, ...rest } = file;
  return { ...rest, id };
}
