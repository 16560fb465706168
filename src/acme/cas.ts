import { createHash } from "node:crypto";

/** A certificate authority by name. Only the directory's URL is fixed: the rest comes from the directory. */
export interface KnownCa {
  directory: string;
  /** Whether newAccount is refused without external account binding (RFC 8555 §7.3.4). */
  needsEab: boolean;
  /** The names by which CAA records allow it (RFC 8659 §4.2). */
  caaIdentities: readonly string[];
  /** What is known of its profiles beside their names, which only its directory tells. */
  profiles?: Readonly<Record<string, { names: number }>>;
}

/** letsencrypt.org/docs/profiles */
const LETSENCRYPT_PROFILES = { classic: { names: 100 }, tlsserver: { names: 25 }, shortlived: { names: 25 } };

/**
 * Sources: letsencrypt.org/docs/acme-protocol-updates and /docs/caa, zerossl.com/documentation/acme (its certificates
 * are Sectigo's), pki.goog/faq.
 */
export const KNOWN_CAS: Readonly<Record<string, KnownCa>> = {
  letsencrypt: {
    directory: "https://acme-v02.api.letsencrypt.org/directory",
    needsEab: false,
    caaIdentities: ["letsencrypt.org"],
    profiles: LETSENCRYPT_PROFILES,
  },
  "letsencrypt-staging": {
    directory: "https://acme-staging-v02.api.letsencrypt.org/directory",
    needsEab: false,
    caaIdentities: ["letsencrypt.org"],
    profiles: LETSENCRYPT_PROFILES,
  },
  zerossl: {
    directory: "https://acme.zerossl.com/v2/DV90",
    needsEab: true,
    caaIdentities: ["sectigo.com", "zerossl.com"],
  },
  google: {
    directory: "https://dv.acme-v02.api.pki.goog/directory",
    needsEab: true,
    caaIdentities: ["pki.goog"],
  },
};

/** Whether an account there needs external binding, as far as that is known before it is asked. */
export function needsEab(directory: string): boolean {
  const known = knownCaOf(directory);
  return known !== undefined && KNOWN_CAS[known]?.needsEab === true;
}

/** The known CA with that directory, so that a URL in the configuration gets the limits of its name. */
export function knownCaOf(directory: string): string | undefined {
  return Object.entries(KNOWN_CAS).find(([, ca]) => ca.directory === directory)?.[0];
}

/**
 * The name of a CA given by nothing but its URL: readable, and safe in queue names, folders and Redis keys.
 * "https://localhost:14000/dir" → "localhost-14000-1f0c6a".
 */
export function caNameOf(directory: string): string {
  const known = knownCaOf(directory);
  if (known) return known;
  const host = new URL(directory).host.replace(/[^a-z0-9.-]+/gi, "-").toLowerCase();
  return `${host}-${createHash("sha256").update(directory).digest("hex").slice(0, 6)}`;
}
