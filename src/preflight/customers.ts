import { csvLine } from "../core/csv.ts";
import type { DnsRecord } from "./verdict.ts";

const COLUMNS = ["DOMAIN", "Record", "Type", "Set", "Today", "Why", "Mail"] as const;

export interface CustomerRow {
  /** The certificate's first name. */
  domain: string;
  record: Omit<DnsRecord, "type" | "set"> & { type: string; set?: string | undefined };
  /** TOAddr of its row, where it has one. */
  mail?: string | undefined;
}

/** The first line of a list that can be sent to customers. */
export function customersHeader(): string {
  return csvLine(COLUMNS);
}

/** One line of it: one record to set or remove. Ends in a line feed, so that lines can be written as they come. */
export function customerLine({ domain, record, mail }: CustomerRow): string {
  const { name, type, set, today, why } = record;
  return csvLine([domain, name, type, set ?? "(remove)", today, why, mail ?? ""]);
}
