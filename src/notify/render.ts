import { rfc3339 } from "../core/clock.ts";
import type { ImportCounts } from "../store/imports.ts";
import { clean, type Entry, layOut, type Section, shorten } from "./layout.ts";

/** Lines of each kind in one mail; who wants more asks `certherd list`. */
export const MAX_LINES = 500;
/** Names of one certificate; it may have a hundred. */
const MAX_NAMES = 10;

export interface IssuedLine {
  name: string;
  names: readonly string[];
  /** Milliseconds since the epoch. */
  notAfter?: number;
  /** Upper-case hex. */
  serial?: string;
  /** A handshake with each node has shown it. */
  served?: boolean;
}

export interface FailedLine {
  name: string;
  /** Why, as a sentence. */
  sentence: string;
  /** When it is tried again by itself, milliseconds since the epoch; without it, a person has to act. */
  until?: number;
  whatToDo: string;
  /** Until when the certificate in use is valid, milliseconds since the epoch. */
  validUntil?: number;
}

/** A name whose owner has to change something in DNS. */
export interface CustomerLine {
  name: string;
  /** What is to be set, and what is there today. */
  sentence: string;
}

export interface WaitingLine {
  name: string;
  sentence: string;
  /** Milliseconds since the epoch. */
  until?: number;
}

/** How many there are, of which the lines may be the first ones only. */
export interface Totals {
  issued: number;
  failed: number;
  /** Waiting for the owners of their names. */
  customers: number;
  /** Waiting for a limit of the CA. */
  waiting: number;
  /** On their way again. */
  underway: number;
  /** Paused or removed. */
  stopped: number;
}

export interface Report {
  kind: "import" | "now" | "later" | "each";
  /** The import's file. */
  source?: string;
  /** Of the whole import, whoever its other mails go to. */
  importCounts?: ImportCounts;
  issued: readonly IssuedLine[];
  failed: readonly FailedLine[];
  customers: readonly CustomerLine[];
  waiting: readonly WaitingLine[];
  totals: Totals;
  /** Which Certherd is speaking. */
  node: string;
}

export interface Rendered {
  /** One line. */
  subject: string;
  text: string;
  html: string;
}

/** One mail. Whatever the report holds comes out as text: escaped, and without control characters. */
export function render(report: Report): Rendered {
  const sections = [
    failedSection(report),
    customersSection(report),
    issuedSection(report),
    waitingSection(report),
  ].filter((section) => section.entries.length > 0);
  const title = titleOf(report);
  const parts = { title, intro: introOf(report), sections, footer: `Certherd on ${report.node}` };
  return { subject: shorten(`Certherd: ${title}`, 200), ...layOut(parts) };
}

/** A mail in words of its own. */
export function renderNotice(notice: { title: string; detail: string }, node: string): Rendered {
  const parts = {
    title: notice.title,
    intro: [notice.detail, "certherd limits and certherd doctor show how it stands."],
    sections: [],
    footer: `Certherd on ${node}`,
  };
  return { subject: shorten(`Certherd: ${notice.title}`, 200), ...layOut(parts) };
}

function titleOf(report: Report): string {
  const { kind, totals, issued, failed, customers } = report;
  const [owner] = customers;
  const first = failed[0] ?? issued[0];
  if (kind === "now")
    return totals.failed === 1 && failed[0]
      ? `${failed[0].name} needs you: ${reasonOf(failed[0])}`
      : `${totals.failed} certificates need you`;
  if (kind === "each" && totals.issued + totals.failed === 1 && first)
    return failed[0] ? `${first.name} failed: ${reasonOf(failed[0])}` : `${first.name} issued`;
  if (kind === "each" && owner && totals.customers === 1 && !first)
    return `${owner.name} waits for its owner: ${reasonOf(owner)}`;
  const counts = [
    `${totals.issued} issued`,
    ...(totals.failed > 0 ? [`${totals.failed} failed`] : []),
    ...(totals.customers > 0 ? [`${totals.customers} waiting for their owners`] : []),
    ...(totals.waiting > 0 ? [`${totals.waiting} waiting`] : []),
    ...(totals.underway > 0 && kind === "import" ? [`${totals.underway} on their way`] : []),
  ].join(", ");
  if (kind === "later") return `${counts} since the last mail`;
  const file = fileName(report.source);
  return file === "" ? counts : `${counts} (${file})`;
}

/** The sentence without its end, as the subject goes on after it in many a list. */
function reasonOf(line: Pick<FailedLine, "sentence">): string {
  return shorten(line.sentence, 90).replace(/\.$/, "");
}

function introOf(report: Report): string[] {
  const { kind, totals, importCounts: counts } = report;
  if (kind === "now")
    return [
      totals.failed === 1
        ? "This certificate does not go on until a person has acted."
        : "These certificates do not go on until a person has acted.",
    ];
  if (kind !== "import") return [];
  const intro: string[] = [];
  if (counts) {
    const rejected = `${counts.rejectedRows} rejected`;
    const parts = `${counts.accepted} ordered, ${counts.unchanged} there already, ${counts.duplicates} repeated, ${rejected}`;
    intro.push(`The file ${fileName(report.source)} has ${plural(counts.rows, "row")}: ${parts}.`);
  }
  if (totals.underway > 0) intro.push(`${plural(totals.underway, "certificate")} on the way again.`);
  if (totals.stopped > 0) intro.push(`${plural(totals.stopped, "certificate")} paused or removed.`);
  return intro;
}

function failedSection({ failed, totals }: Report): Section {
  const entries = failed.slice(0, MAX_LINES).map((line): Entry => {
    const { validUntil, until } = line;
    return {
      name: line.name,
      lines: [
        line.sentence,
        ...(until === undefined ? [] : [`Tried again at ${rfc3339(until)}.`]),
        line.whatToDo,
        ...(validUntil === undefined
          ? []
          : [`The certificate in use is valid until ${rfc3339(validUntil)}.`]),
      ],
    };
  });
  const hint = "certherd list --status attention, and --status waiting";
  return section("Failed", "#b42318", entries, totals.failed, hint);
}

function issuedSection({ issued, totals }: Report): Section {
  const entries = issued.slice(0, MAX_LINES).map((line): Entry => {
    const others = line.names.slice(0, MAX_NAMES).join(", ");
    const more = line.names.length > MAX_NAMES ? `, and ${line.names.length - MAX_NAMES} more` : "";
    return {
      name: line.name,
      lines: [
        ...(line.names.length > 1 ? [`for ${others}${more}`] : []),
        ...(line.notAfter === undefined ? [] : [`valid until ${rfc3339(line.notAfter)}`]),
        ...(line.serial === undefined ? [] : [`serial ${line.serial}`]),
        ...(line.served ? ["served by every node"] : []),
      ],
    };
  });
  return section(
    "Issued",
    "#1a7f37",
    entries,
    totals.issued,
    "certherd list --status issued, or --status serving",
  );
}

function customersSection({ customers, totals }: Report): Section {
  const entries = customers
    .slice(0, MAX_LINES)
    .map(({ name, sentence }): Entry => ({ name, lines: [sentence] }));
  const title = "Waiting for their owners to change DNS; they go on by themselves";
  return section(title, "#0969da", entries, totals.customers, "certherd list --status waiting");
}

function waitingSection({ waiting, totals }: Report): Section {
  const entries = waiting.slice(0, MAX_LINES).map((line): Entry => {
    const until = line.until === undefined ? [] : [`Goes on by itself at ${rfc3339(line.until)}.`];
    return { name: line.name, lines: [line.sentence, ...until] };
  });
  const title = "Waiting for a limit of the CA";
  return section(title, "#9a6700", entries, totals.waiting, "certherd list --status waiting");
}

function section(title: string, colour: string, entries: Entry[], total: number, hint: string): Section {
  const left = total - entries.length;
  return {
    title: `${title} (${total})`,
    colour,
    entries,
    ...(left > 0 ? { more: `and ${left} more; ${hint}` } : {}),
  };
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** The last part of a path. */
function fileName(source = ""): string {
  return clean(source.split(/[/\\]/).at(-1) ?? "");
}
