import { X509Certificate } from "node:crypto";
import type { IssuedLeaf } from "../core/certificate.ts";
import { AppError } from "../core/errors.ts";
import { certIdOf } from "./cert-id.ts";
import { parseKey } from "./keys.ts";

/** A clock that is wrong by less than this still accepts a fresh certificate (CAs backdate by an hour anyway). */
const CLOCK_SKEW = 3_600_000;

export interface CheckedChain {
  leafPem: string;
  issuersPem: string;
  /** Of it; when it is renewed is not the chain's to say. */
  leaf: Omit<IssuedLeaf, "renewAt">;
}

/** One certificate in PEM. */
export const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * Takes a downloaded chain (RFC 8555 §7.4.2) apart and refuses it unless it is what was asked for: the leaf is
 * for this key and exactly these names, is valid now, and each certificate is signed by the next.
 */
export function checkChain(pem: string, keyPem: string, names: readonly string[], now: number): CheckedChain {
  const blocks = pem.match(BLOCK) ?? [];
  const certificates = blocks.map(parse);
  const leaf = certificates[0];
  if (!leaf) throw refuse("holds no certificate");
  if (!leaf.checkPrivateKey(parseKey(keyPem))) throw refuse("is for another key than the one asked for");
  checkNames(leaf, names);
  const [notBefore, notAfter] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
  if (notBefore > now + CLOCK_SKEW) throw refuse(`begins only at ${leaf.validFrom}; check this host's clock`);
  if (notAfter <= now) throw refuse(`has ended at ${leaf.validTo}; check this host's clock`);
  if (certificates.length < 2) throw refuse("comes without its issuer");
  certificates.forEach((certificate, index) => {
    const issuer = certificates[index + 1];
    if (issuer && !(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)))
      throw refuse(`is out of order: certificate ${index + 1} is not signed by the one after it`);
  });
  const certId = certIdOf(blocks[0] ?? "");
  return {
    leafPem: `${blocks[0]}\n`,
    issuersPem: blocks
      .slice(1)
      .map((block) => `${block}\n`)
      .join(""),
    leaf: {
      notBefore,
      notAfter,
      issuer: commonName(leaf.issuer),
      serial: leaf.serialNumber.toUpperCase(),
      ...(certId === undefined ? {} : { certId }),
    },
  };
}

function parse(block: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch (error) {
    throw refuse(`cannot be read (${error instanceof Error ? error.message : error})`);
  }
}

function checkNames(leaf: X509Certificate, names: readonly string[]): void {
  const held = (leaf.subjectAltName ?? "")
    .split(", ")
    .filter((entry) => entry.startsWith("DNS:"))
    .map((entry) => entry.slice("DNS:".length).toLowerCase());
  const missing = names.filter((name) => !held.includes(name));
  const foreign = held.filter((name) => !names.includes(name));
  if (missing.length > 0) throw refuse(`lacks the name ${missing.join(", ")}`);
  if (foreign.length > 0) throw refuse(`holds the name ${foreign.join(", ")}, which nobody asked for`);
}

/** "C=US\nO=Let's Encrypt\nCN=E7" → "E7"; the whole where there is no CN. */
export function commonName(distinguished: string): string {
  return /^CN=(.+)$/m.exec(distinguished)?.[1] ?? distinguished.replace(/\n/g, ", ");
}

function refuse(what: string): AppError {
  return new AppError(`The certificate that the CA sent ${what}.`, {
    code: "bad_chain",
    disposition: "retry",
  });
}
