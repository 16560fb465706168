import type { CertificateRecord } from "../core/certificate.ts";
import { type ImportedCertificateDocument, importedCertificateDocument } from "../core/documents.ts";
import type { CertificateStore } from "../store/certificates.ts";
import type { ImportCounts, ImportStore } from "../store/imports.ts";
import type { Fault } from "./row.ts";

/** The parts of an import's document that may be long, to be read once. */
export interface ImportParts {
  id: string;
  counts: ImportCounts;
  rejected: AsyncIterable<Fault> | Iterable<Fault>;
  certificates: AsyncIterable<ImportedCertificateDocument>;
  warnings?: readonly string[];
}

/** The records of an import, in no order; undefined for one that the index has lost. */
export async function* importRecords(
  imports: ImportStore,
  certificates: CertificateStore,
  id: string,
): AsyncGenerator<CertificateRecord | undefined> {
  for await (const ids of imports.certificates(id)) yield* await certificates.getMany(ids);
}

/** The certificates of an import, in no order. */
export async function* importCertificates(
  imports: ImportStore,
  certificates: CertificateStore,
  id: string,
): AsyncGenerator<ImportedCertificateDocument> {
  for await (const record of importRecords(imports, certificates, id))
    if (record) yield importedCertificateDocument(record);
}

/** `{import, rows, accepted, rejected, duplicates, unchanged, certificates}` as JSON text, in pieces. */
export async function* importDocument(parts: ImportParts): AsyncGenerator<string> {
  const { id, counts, warnings } = parts;
  const { rows, accepted, duplicates, unchanged, retried, updated } = counts;
  const head = {
    import: id,
    rows,
    accepted,
    duplicates,
    unchanged,
    retried,
    updated,
    ...(warnings?.length ? { warnings } : {}),
  };
  yield JSON.stringify(head).slice(0, -1);
  yield ',"rejected":[';
  yield* elements(parts.rejected);
  yield '],"certificates":[';
  yield* elements(parts.certificates);
  yield "]}\n";
}

async function* elements(items: AsyncIterable<unknown> | Iterable<unknown>): AsyncGenerator<string> {
  let separator = "";
  for await (const item of items) {
    yield separator + JSON.stringify(item);
    separator = ",";
  }
}
