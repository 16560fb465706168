import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CertificateRecord, firstNameOf, isObtained } from "../core/certificate.ts";
import { usageError } from "../core/errors.ts";
import type { RevocationReason } from "../core/revocation.ts";
import type { House } from "../runtime/house.ts";
import { caOfLeaf, revokeAndOrder, revokeLeaf } from "../runtime/revoking.ts";
import type { Io } from "./output.ts";
import { plain } from "./output.ts";
import { waitForImport } from "./wait.ts";

export interface RevocationReport {
  name: string;
  revoked: true;
  serial: string;
  /** Where the new one stands; missing where none was ordered. */
  replacement?: string;
  failed: boolean;
}

interface RevokeRequest {
  reason: RevocationReason;
  replace: boolean;
  wait: boolean;
  quiet: boolean;
}

/** Revokes the leaf in use, notes that, and orders another one. */
export async function revokeAndReplace(
  house: House,
  io: Io,
  record: CertificateRecord,
  { reason, replace, wait, quiet }: RevokeRequest,
): Promise<RevocationReport> {
  const { name, serial: revoked, importId } = await revokeAndOrder(house, record, { reason, replace });
  const report = { name, revoked: true, serial: revoked, failed: false } as const;
  if (importId === undefined) return report;
  if (!wait) return { ...report, replacement: "queued" };
  await waitForImport(house, io, importId, { quiet });
  const after = await house.certificates.get(record.id);
  const serial = after?.leaf?.serial;
  const isThere = after !== undefined && isObtained(after) && serial !== revoked;
  return {
    ...report,
    replacement: isThere ? `${after.status}, serial ${serial}` : (after?.status ?? "removed"),
    failed: !isThere,
  };
}

/** Revokes a certificate of a file: one that was archived, say. Its CA stands beside it there. */
export async function revokeFile(
  house: House,
  path: string,
  reason: RevocationReason,
  caName: string | undefined,
): Promise<{ serial: string; ca: string }> {
  const { pem, serial } = readLeaf(path);
  const [owner] = await house.certificates.ownersOf([serial]);
  if (owner !== undefined)
    throw usageError(
      "in_use",
      `${path} is the certificate in use of ${firstNameOf(owner)}: certherd revoke ${firstNameOf(owner)} revokes it and replaces it.`,
    );
  const beside = caName ?? provenanceBeside(path);
  if (beside === undefined && house.config.cas.length > 1)
    throw usageError("bad_option", `Which CA ${path} is from is not known; give --ca NAME.`);
  const ca = caOfLeaf(house, path, { ca: beside ?? house.config.cas[0].name });
  await revokeLeaf(house, ca, pem, reason);
  return { serial, ca: ca.name };
}

function readLeaf(path: string): { pem: string; serial: string } {
  try {
    const [pem = ""] =
      /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(readFileSync(path, "utf8")) ?? [];
    return { pem: `${pem}\n`, serial: new X509Certificate(pem).serialNumber.toUpperCase() };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw usageError("file_unreadable", `${path} holds no certificate that can be read: ${plain(why)}.`);
  }
}

function provenanceBeside(path: string): string | undefined {
  try {
    const { provenance } = JSON.parse(readFileSync(join(dirname(path), "certificate.json"), "utf8"));
    return typeof provenance?.ca === "string" ? provenance.ca : undefined;
  } catch {
    return undefined;
  }
}
