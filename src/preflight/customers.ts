import type { DnsRecord } from "./verdict.ts";

const COLUMNS = ["DOMAIN", "Record", "Type", "Set", "Today", "Why", "Mail"] as const;

export interface CustomerRow {
  /** The certificate's first name. */
  domain: string;
  record: DnsRecord;
  /** TOAddr of its row, where it has one. */
  mail?: string | undefined;
}

/** The first line of a list that can be sent to customers. */
export function customersHeader(): string {
  return line(COLUMNS);
}

/** One line of it: one record to set or remove. Ends in a line feed, so that lines can be written as they come. */
export function customerLine({ domain, record, mail }: CustomerRow): string {
  const { name, type, set, today, why } = record;
  return line([domain, name, type, set ?? "(remove)", today, why, mail ?? ""]);
}

function line(cells: readonly string[]): string {
  return `${cells.map(cell).join(",")}\n`;
}

/**
 * RFC 4180 §2. What a spreadsheet would take for a formula gets an apostrophe before it: what stands in DNS is anybody's.
 * https://owasp.org/www-community/attacks/CSV_Injection
 */
function cell(text: string): string {
  const tame = text.replace(/[\r\n\t\0]+/g, " ");
  const safe = /^\s*[=+\-@]/.test(tame) ? `'${tame}` : tame;
  return /[",]|^\s|\s$|^#/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
