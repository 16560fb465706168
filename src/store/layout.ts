import { createHash, X509Certificate } from "node:crypto";
import { join } from "node:path";
import {
  type CertificateRecord,
  type CertificateSpec,
  type CertificateState,
  certificateId,
  type IssuedLeaf,
  namesKey,
  type RenewalState,
} from "../core/certificate.ts";

/** Where a leaf comes from: with the spec, all that its renewal needs. */
export interface Provenance {
  ca: string;
  directory: string;
  orderUrl: string;
}

/** `certificate.json`: written when a certificate settles, and what the index is rebuilt from. */
export interface CertificateFile extends CertificateState {
  version: 1;
  name: string;
  spec: CertificateSpec;
  generation: number;
  acceptedAt: number;
  importId?: string;
  leaf?: IssuedLeaf;
  schedule?: RenewalState;
  /** The serial of the leaf that was told to be in use, on every node. */
  served?: string;
  provenance?: Provenance;
}

/** A certificate with its key. Never in a job, a log, an event or an error. */
export interface StoredBundle {
  id: string;
  /** Those of the leaf. */
  names: readonly string[];
  /** Of the leaf, upper-case hex as openssl prints it. */
  serial: string;
  leafPem: string;
  /** The issuers' certificates, the leaf's issuer first. */
  issuersPem: string;
  keyPem: string;
}

export interface SetPaths {
  cert: string;
  key: string;
  ca: string;
  fullchain: string;
}

/** NAME_MAX is 255 bytes, and a name may have 253: the longest lose their tail to a hash. */
export function fileStem(id: string, longest = 240): string {
  if (id.length <= longest) return id;
  return `${id.slice(0, 200)}-${createHash("sha256").update(id).digest("hex").slice(0, 32)}`;
}

/** The archive's folder of a certificate that was taken away at `at`: its stem, and that moment in UTC. */
export function archiveName(id: string, at: number): string {
  const stamp = new Date(at).toISOString().replace(/[-:]|\.\d+/g, "");
  return `${fileStem(id, 233)}-${stamp}`;
}

/** One set of files, in acme.sh's layout. */
export function setPaths(folder: string, stem: string): SetPaths {
  return {
    cert: join(folder, `${stem}.cer`),
    key: join(folder, `${stem}.key`),
    ca: join(folder, "ca.cer"),
    fullchain: join(folder, "fullchain.cer"),
  };
}

/** The part of a record that goes to disk. */
export function certificateFile(record: CertificateRecord, provenance?: Provenance): CertificateFile {
  const { id: _, orderUrl: __, ...rest } = record;
  return {
    version: 1,
    name: record.spec.names[0] ?? "",
    ...rest,
    ...(provenance === undefined ? {} : { provenance }),
  };
}

export function idOf({ name }: Pick<CertificateFile, "name">): string {
  return certificateId(name);
}

/**
 * The names that the leaf is for, the certificate's first. Those of the spec may have been asked for since, by an order
 * that failed: then the leaf tells.
 */
export function leafNames({ name, spec, leaf }: CertificateFile, leafPem: string): string[] {
  if (leaf?.set === undefined || leaf.set === namesKey(spec.names)) return spec.names;
  const names = dnsNames(leafPem);
  if (names.length === 0) return spec.names;
  return names.includes(name) ? [name, ...names.filter((other) => other !== name)] : names;
}

function dnsNames(leafPem: string): string[] {
  try {
    const entries = (new X509Certificate(leafPem).subjectAltName ?? "").split(", ");
    return entries.filter((entry) => entry.startsWith("DNS:")).map((entry) => entry.slice(4));
  } catch {
    return [];
  }
}

/** The later leaf, else the later order: which of two files of the same certificate tells the newer story. */
export function compareFiles(a: Told, b: Told): number {
  return leafTime(a) - leafTime(b) || a.acceptedAt - b.acceptedAt || a.generation - b.generation;
}

type Told = Pick<CertificateFile, "leaf" | "acceptedAt" | "generation">;

/** Milliseconds since the epoch; of a leaf of earlier versions only its own time is known. */
export function leafTime({ leaf }: Pick<CertificateFile, "leaf">): number {
  return leaf === undefined ? 0 : (leaf.issuedAt ?? leaf.notBefore);
}
