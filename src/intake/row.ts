import type { CertificateSpec, MailRoute } from "../core/certificate.ts";
import { checkName } from "../core/names.ts";
import { COLUMNS, type Column, DOMAIN, type RowContext } from "./columns.ts";

export type { RowContext } from "./columns.ts";

/** One thing wrong with one row. A row with several has one of these for each. */
export interface Fault {
  /** Physical line, from 1. */
  line: number;
  /** The row's DOMAIN cell as given. */
  domain: string;
  /** The header's name of the column; its number, from 1, where it has none. */
  column: string;
  /** What is wrong there, with escapes for what a terminal would act on; at most 120 characters. */
  value: string;
  /** A sentence: what is wrong, and how to mend it. */
  reason: string;
}

/** "Up to 100 identifiers" a certificate: https://letsencrypt.org/docs/rate-limits/ */
const MAX_NAMES = 100;
const MAX_VALUE = 120;
/** Also what some take for the end of a line (U+2028, U+2029), and what stands for bytes that were no UTF-8 (U+FFFD). */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\ufffd]/u;
/** What would move the cursor, or turn the writing round, where a fault is read. */
const UNSHOWABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** A fault, its value made fit to be shown. */
export function makeFault(
  line: number,
  domain: string,
  column: string,
  value: string,
  reason: string,
): Fault {
  return { line, domain, column, value: shown(value), reason };
}

/** Control characters as escapes, and no more than 120 characters. */
export function shown(text: string): string {
  // Cut before escaping too, as a cell may have 64 KiB.
  const escaped = text.slice(0, MAX_VALUE + 1).replace(UNSHOWABLE, (character) => {
    const short = JSON.stringify(character).slice(1, -1);
    return short === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}` : short;
  });
  if (escaped.length <= MAX_VALUE) return escaped;
  // A cut must not leave half of a surrogate pair behind.
  return `${escaped.slice(0, MAX_VALUE - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

/**
 * One row's cells, by the columns' names, as the certificate they ask for; or everything that is wrong with them.
 * `context.faults`, what reading the line found already, is part of that; a line without cells has no more than those.
 */
export function checkRow(
  cells: Record<string, string>,
  context: RowContext & { faults?: readonly Fault[] },
): { spec: CertificateSpec } | { faults: Fault[] } {
  const row = new RowReader(cells, context, context.faults ?? []);
  if (row.faults.length > 0 && Object.keys(cells).length === 0) return { faults: row.faults };
  row.reportUnprintable();
  const names = readNames(row);
  const vipPort = row.read(COLUMNS.vipPort);
  const acmePort = row.read(COLUMNS.acmePort);
  const mail = readMail(row, context);
  const ca = row.read(COLUMNS.ca);
  const profile = row.read(COLUMNS.profile);
  const keyType = row.read(COLUMNS.keyType);
  const challenge = readChallenge(row, names, context.dns01);
  const priority = row.read(COLUMNS.priority);
  if (challenge !== "dns-01") reportWildcards(row, names, context.dns01);
  if (row.faults.length > 0) return { faults: row.faults };
  return {
    spec: {
      names,
      vipPort,
      acmePort,
      ...(mail === undefined ? {} : { mail }),
      ...(ca === undefined ? {} : { ca }),
      ...(profile === undefined ? {} : { profile }),
      keyType,
      challenge,
      priority,
    },
  };
}

/** Reads cells and gathers faults; a column that has one is not looked at twice. */
class RowReader {
  readonly faults: Fault[];
  readonly #cells: Record<string, string>;
  readonly #context: RowContext;
  readonly #faulty: Set<string>;

  constructor(cells: Record<string, string>, context: RowContext, found: readonly Fault[]) {
    this.#cells = cells;
    this.#context = context;
    this.faults = [...found];
    this.#faulty = new Set(found.map((fault) => fault.column));
  }

  cell(column: string): string {
    return (this.#cells[column] ?? "").trim();
  }

  isFaulty(column: string): boolean {
    return this.#faulty.has(column);
  }

  report(column: string, value: string, reason: string): void {
    this.faults.push(makeFault(this.#context.line, this.#cells[DOMAIN] ?? "", column, value, reason));
    this.#faulty.add(column);
  }

  /** Any cell may end up in a mail's head, a log or a terminal, so none may hold what those act on. */
  reportUnprintable(): void {
    for (const [column, cell] of Object.entries(this.#cells)) {
      if (!UNPRINTABLE.test(cell) || this.isFaulty(column)) continue;
      this.report(column, cell, "it holds a control character or a broken letter: take that out");
    }
  }

  /** The column's value; where the cell is faulty, its fallback, which only keeps the caller going. */
  read<T, F extends T | undefined>(column: Column<T, F>): T | F {
    if (this.isFaulty(column.name)) return column.fallback;
    const cell = this.cell(column.name);
    if (cell === "" && column.fallback === undefined) return column.fallback;
    const parsed = column.parse(cell || String(column.fallback), this.#context);
    if ("value" in parsed) return parsed.value;
    this.report(column.name, cell, parsed.reason);
    return column.fallback;
  }
}

/** The names of the DOMAIN cell that are good, each once, in their order. */
function readNames(row: RowReader): string[] {
  if (row.isFaulty(DOMAIN)) return [];
  const cell = row.cell(DOMAIN);
  const given = new Set(cell.split(/[\s;|]+/).filter((part) => part !== ""));
  if (given.size === 0) row.report(DOMAIN, cell, "it is empty: give a name, such as www.example.com");
  const names = new Set<string>();
  let bad = 0;
  for (const part of given) {
    const checked = checkName(part);
    if (checked.ok) names.add(checked.name);
    // A line has room for 32,000 bad names; past a hundred, their number says it all.
    else if (bad++ < MAX_NAMES) {
      row.report(
        DOMAIN,
        part,
        part.includes(",") ? "separate names by spaces, ; or |, not by commas" : checked.reason,
      );
    }
  }
  const count = names.size + bad;
  if (count > MAX_NAMES) {
    row.report(DOMAIN, cell, `it has ${count} names: ${MAX_NAMES} are the most for one certificate`);
  } else {
    reportRedundant(row, names);
  }
  return [...names];
}

/** Boulder refuses an order with both (`wildcardOverlap`): https://github.com/letsencrypt/boulder/blob/main/ra/ra.go */
function reportRedundant(row: RowReader, names: ReadonlySet<string>): void {
  for (const name of names) {
    const wildcard = `*${name.slice(name.indexOf("."))}`;
    if (name === wildcard || !names.has(wildcard)) continue;
    row.report(DOMAIN, name, `${wildcard} in the same row covers it already: take one of the two out`);
  }
}

/** A wildcard has no other challenge, so that it need not be told where there is somebody to answer it. */
function readChallenge(
  row: RowReader,
  names: readonly string[],
  dns01: boolean,
): CertificateSpec["challenge"] {
  const isOpen = row.cell(COLUMNS.challenge.name) === "" && !row.isFaulty(COLUMNS.challenge.name);
  if (isOpen && dns01 && names.some((name) => name.startsWith("*."))) return "dns-01";
  return row.read(COLUMNS.challenge);
}

/** CAs validate a wildcard by dns-01 alone: https://letsencrypt.org/docs/challenge-types/#dns-01-challenge */
function reportWildcards(row: RowReader, names: readonly string[], dns01: boolean): void {
  const wildcard = names.find((name) => name.startsWith("*."));
  if (wildcard === undefined || row.isFaulty(COLUMNS.challenge.name)) return;
  const mending = dns01 ? ": set it in that column" : ", and no dns-01 driver is configured";
  row.report(DOMAIN, wildcard, `a wildcard needs the Challenge dns-01${mending}`);
}

/** Undefined where the row wants no mail. A sender alone wants none either. */
function readMail(row: RowReader, { mailFrom, relays }: RowContext): MailRoute | undefined {
  const from = row.read(COLUMNS.from);
  const to = row.read(COLUMNS.to);
  const relay = row.read(COLUMNS.relay);
  const port = row.read(COLUMNS.relayPort);
  const hasTo = row.cell(COLUMNS.to.name) !== "";
  const hasRelay = row.cell(COLUMNS.relay.name) !== "";
  if (hasTo && !hasRelay) {
    row.report(
      COLUMNS.relay.name,
      "",
      "TOAddr needs a relay to send through: give RELAYAddr, or leave both empty",
    );
  }
  if (hasRelay && !hasTo) {
    row.report(COLUMNS.to.name, "", "RELAYAddr needs somebody to write to: give TOAddr, or leave both empty");
  }
  if (hasTo && row.cell(COLUMNS.from.name) === "" && !mailFrom) {
    row.report(
      COLUMNS.from.name,
      "",
      "a mail needs a sender: give FROMAddr, or set mail.from in the configuration",
    );
  }
  const forbidden = relay === undefined ? undefined : relays?.fault(relay, port);
  if (forbidden !== undefined) row.report(COLUMNS.relay.name, row.cell(COLUMNS.relay.name), forbidden);
  if (to === undefined || relay === undefined) return undefined;
  return {
    ...(from === undefined ? {} : { from }),
    to,
    relay,
    port,
    ...(relays === undefined ? {} : { checked: true as const }),
  };
}
