import { createReadStream } from "node:fs";
import { basename } from "node:path";
import type { CertificateRecord } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { csvLine } from "../core/csv.ts";
import { customerLine, customersHeader } from "../preflight/customers.ts";

type Records = AsyncIterable<CertificateRecord | undefined>;

const COLUMNS = [
  "Name",
  "Names",
  "Status",
  "Reason",
  "Until",
  "Detail",
  "NotBefore",
  "NotAfter",
  "Serial",
  "Issuer",
  "DNS",
] as const;

/** Every certificate of an import, a line each: how it stands, and what is to be done. */
export async function* certificatesCsv(records: Records): AsyncGenerator<string> {
  yield csvLine(COLUMNS);
  for await (const record of records) if (record) yield reportLine(record);
}

export function reportLine({ spec, status, reason, until, detail, error, leaf }: CertificateRecord): string {
  const time = (ms: number | undefined): string => (ms === undefined ? "" : rfc3339(ms));
  const records = (error?.records ?? []).map(
    ({ name, type, set, today }) =>
      `${set === undefined ? `remove ${name} ${type}` : `set ${name} ${type} ${set}`} (today: ${today})`,
  );
  return csvLine([
    spec.names[0] ?? "",
    spec.names.join(" "),
    status,
    reason ?? "",
    time(until),
    detail ?? error?.detail ?? "",
    time(leaf?.notBefore),
    time(leaf?.notAfter),
    leaf?.serial ?? "",
    leaf?.issuer ?? "",
    records.join(" | "),
  ]);
}

/** What has to be set in DNS for those that wait for it, as `certherd import --triage` writes it. */
export async function* customersCsv(records: Records): AsyncGenerator<string> {
  yield customersHeader();
  for await (const record of records) {
    if (record?.status !== "waiting" || record.reason !== "customer") continue;
    const { spec, error } = record;
    for (const one of error?.records ?? [])
      yield customerLine({ domain: spec.names[0] ?? "", record: one, mail: spec.mail?.to });
  }
}

/** A text file without a last line that is not whole: it is still being written, or its writer has died. */
export async function* wholeLines(path: string): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of createReadStream(path, "utf8")) {
    const text = rest + String(piece);
    const end = text.lastIndexOf("\n") + 1;
    rest = text.slice(end);
    if (end > 0) yield text.slice(0, end);
  }
}

/** Characters of the imported file's name that are kept. */
const MOST_OF_NAME = 60;

/** `domains.report.csv`: the name of the file that was imported, as far as any system takes it for one. */
export function fileName(source: string, id: string, kind: string): string {
  const stem = basename(source.replaceAll("\\", "/"))
    .replace(/\.csv$/i, "")
    .replace(/[^A-Za-z0-9._-]+/g, "_")
    .replace(/^[._-]+/, "")
    .slice(0, MOST_OF_NAME);
  return `${stem === "" ? id : stem}.${kind}.csv`;
}
