import type { CertificateSpec, IssuedLeaf, KeyType } from "../core/certificate.ts";

/** One certificate that can be taken over, without its PEMs, of which there may be many. */
export interface Candidate {
  entry: string;
  id: string;
  names: string[];
  keyType: KeyType;
  leaf: Pick<IssuedLeaf, "notAfter" | "notBefore" | "renewAt" | "serial">;
  directory?: string;
  account?: string;
  challenge: CertificateSpec["challenge"];
}

/**
 * Which one of several with the same first name is taken. acme.sh keeps RSA and elliptic curves side by side, and renews
 * both: then it is the elliptic curve. One that is due has been given up: then it is the newer.
 */
export function chooseOne<T extends Candidate>(several: readonly T[], now: number): T | undefined {
  return [...several].sort((a, b) => {
    const bothRenewed = a.leaf.renewAt > now && b.leaf.renewAt > now;
    const byKey = Number(isElliptic(b)) - Number(isElliptic(a));
    return (bothRenewed ? byKey : 0) || b.leaf.notBefore - a.leaf.notBefore || a.entry.localeCompare(b.entry);
  })[0];
}

function isElliptic({ keyType }: Candidate): boolean {
  return keyType.startsWith("ec");
}
