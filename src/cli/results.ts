import { isObtained, isSettled } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { importRecords } from "../intake/documents.ts";
import type { House } from "../runtime/house.ts";
import { type Io, print, table } from "./output.ts";

const SHOWN = 50;

/** How the certificates of an import stand now. */
export interface Tally {
  /** Those that are served by every node of theirs included. */
  issued: number;
  serving: number;
  failed: number;
  /** Until somebody sets a record. They are none of ours to mend, and go on by themselves. */
  customers: number;
  /** Still on their way. */
  open: number;
}

export async function tally(house: House, importId: string): Promise<Tally> {
  const counts: Tally = { issued: 0, serving: 0, failed: 0, customers: 0, open: 0 };
  for await (const record of importRecords(house.imports, house.certificates, importId)) {
    if (record?.status === "serving") counts.serving++;
    if (record && isObtained(record)) counts.issued++;
    else if (record?.status === "waiting" && record.reason === "customer") counts.customers++;
    else if (record && isSettled(record)) counts.failed++;
    else counts.open++;
  }
  return counts;
}

/** The sum, and a table of what failed and why. */
export async function printFailures(
  house: House,
  io: Io,
  importId: string,
  { issued, serving, failed, customers, open }: Tally,
): Promise<void> {
  const parts = [
    ...(serving > 0 ? [`${serving} serving`] : []),
    ...(issued > serving || serving === 0 ? [`${issued - serving} issued`] : []),
    ...(failed > 0 || customers === 0 ? [`${failed} failed`] : []),
    ...(customers > 0 ? [`${customers} waiting for the customer`] : []),
    ...(open > 0 ? [`${open} still on their way`] : []),
  ];
  print(io, `${parts.join(", ")}.`);
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
  const left = failed + customers + open - rows.length;
  if (left > 0) print(io, `… and ${left} more: certherd list --status attention, and --status waiting`);
}
