import { type CertificateRecord, certificateId } from "../core/certificate.ts";
import { checkName } from "../core/names.ts";
import type { CertificateStore } from "../store/certificates.ts";
import { notFound } from "./problems.ts";

/** The certificate of that first name, however the name is written; throws `not_found`. */
export async function findCertificate(store: CertificateStore, name: string): Promise<CertificateRecord> {
  const checked = checkName(name);
  const record = await store.get(certificateId(checked.ok ? checked.name : name));
  if (record) return record;
  throw notFound("This is no certificate's first name here; GET /v1/certificates lists them.");
}

/** The same record; throws `not_found` for one that was removed, where only GET and DELETE make sense. */
export function unlessRemoved(record: CertificateRecord): CertificateRecord {
  if (record.status !== "removed") return record;
  throw notFound("It was removed, and is forgotten once the last node has let go of it.");
}
