import { isObtained, isSettled } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { importRecords } from "../intake/documents.ts";
import type { House } from "../runtime/house.ts";
import { type Io, print, table } from "./output.ts";

const SHOWN = 50;

/** How the certificates of an import stand now. */
export interface Tally {
  issued: number;
  failed: number;
  /** Still on their way. */
  open: number;
}

export async function tally(house: House, importId: string): Promise<Tally> {
  const counts: Tally = { issued: 0, failed: 0, open: 0 };
  for await (const record of importRecords(house.imports, house.certificates, importId)) {
    if (record && isObtained(record)) counts.issued++;
    else if (record && isSettled(record, false)) counts.failed++;
    else counts.open++;
  }
  return counts;
}

/** The sum, and a table of what failed and why. */
export async function printFailures(
  house: House,
  io: Io,
  importId: string,
  { issued, failed, open }: Tally,
): Promise<void> {
  print(io, `${issued} issued, ${failed} failed${open ? `, ${open} still on their way` : ""}.`);
  const rows: string[][] = [];
  for await (const record of importRecords(house.imports, house.certificates, importId)) {
    if (!record || isObtained(record) || rows.length >= SHOWN) continue;
    const next = record.until
      ? `again at ${rfc3339(record.until)}`
      : record.status === "attention"
        ? "needs you"
        : record.status;
    rows.push([record.spec.names[0] ?? "", next, record.detail ?? ""]);
  }
  if (rows.length > 0) print(io, `\n${table(["NAME", "NEXT", "WHY"], rows)}`);
  if (failed + open > rows.length)
    print(io, `… and ${failed + open - rows.length} more: certherd list --status attention`);
}
