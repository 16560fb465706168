import type { CertificateRecord } from "../core/certificate.ts";
import type { CertificateStore } from "../store/certificates.ts";
import {
  type CustomerLine,
  type FailedLine,
  type IssuedLine,
  MAX_LINES,
  type Report,
  type Totals,
  type WaitingLine,
} from "./render.ts";

export type Findings = Pick<Report, "issued" | "failed" | "customers" | "waiting" | "totals">;

type Group = keyof Totals | "unknown";

/**
 * What there is to tell of these certificates, as they stand now. Whatever their number, only counts and the first
 * lines of each kind are kept. Undefined when there is nothing worth a mail.
 */
export async function gather(
  slices: AsyncIterable<string[]>,
  certificates: CertificateStore,
  kind: Report["kind"],
): Promise<Findings | undefined> {
  const totals: Totals = { issued: 0, failed: 0, customers: 0, waiting: 0, underway: 0, stopped: 0 };
  const issued: IssuedLine[] = [];
  const customers: CustomerLine[] = [];
  const waiting: WaitingLine[] = [];
  // Those that need a person stand first, and are not crowded out by those that do not.
  const standing: FailedLine[] = [];
  const trying: FailedLine[] = [];
  for await (const ids of slices) {
    for (const record of await certificates.getMany(ids)) {
      const group = groupOf(record);
      if (record === undefined || group === "unknown") continue;
      // Who was to be called is not called for what has been mended meanwhile.
      if (kind === "now" && record.status !== "attention") continue;
      totals[group]++;
      if (group === "issued") keep(issued, () => issuedLine(record));
      else if (group === "customers") keep(customers, () => customerLine(record));
      else if (group === "waiting") keep(waiting, () => waitingLine(record));
      else if (group === "failed")
        keep(record.status === "attention" ? standing : trying, () => failedLine(record));
    }
  }
  if (!isWorthTelling(kind, totals)) return undefined;
  return { totals, issued, customers, waiting, failed: [...standing, ...trying].slice(0, MAX_LINES) };
}

function keep<T>(lines: T[], make: () => T): void {
  if (lines.length < MAX_LINES) lines.push(make());
}

function groupOf(record: CertificateRecord | undefined): Group {
  switch (record?.status) {
    case undefined:
      return "unknown";
    case "issued":
    case "serving":
      return "issued";
    case "attention":
      return "failed";
    case "waiting":
      if (record.reason === "customer") return "customers";
      return record.reason === undefined || record.reason === "limit" ? "waiting" : "failed";
    case "paused":
    case "removed":
      return "stopped";
    case "queued":
    case "checking":
    case "ordering":
    case "validating":
    case "finalizing":
    case "deploying":
      return "underway";
  }
}

/** What is on its way again will be told when it comes to rest; only a digest of an import is told whatever it holds. */
function isWorthTelling(kind: Report["kind"], totals: Totals): boolean {
  const { issued, failed, customers, waiting, underway, stopped } = totals;
  switch (kind) {
    case "now":
    case "each":
      return issued + failed + customers > 0;
    case "later":
      return issued + failed + customers + waiting > 0;
    case "import":
      return issued + failed + customers + waiting + underway + stopped > 0;
  }
}

function issuedLine({ id, spec, leaf, status }: CertificateRecord): IssuedLine {
  const name = spec.names[0] ?? id;
  const served = status === "serving" ? { served: true } : {};
  return {
    name,
    names: spec.names,
    ...served,
    ...(leaf && { notAfter: leaf.notAfter, serial: leaf.serial }),
  };
}

function customerLine({ id, spec, detail }: CertificateRecord): CustomerLine {
  return { name: spec.names[0] ?? id, sentence: detail ?? "A record of its DNS has to be changed." };
}

function waitingLine({ id, spec, detail, until }: CertificateRecord): WaitingLine {
  return {
    name: spec.names[0] ?? id,
    sentence: detail ?? "A limit of the CA allows no order yet.",
    ...(until === undefined ? {} : { until }),
  };
}

function failedLine(record: CertificateRecord): FailedLine {
  const { id, spec, detail, error, until, leaf, status } = record;
  return {
    name: spec.names[0] ?? id,
    sentence: detail ?? error?.detail ?? "The reason is not known.",
    whatToDo: whatToDo(record),
    ...(until === undefined || status === "attention" ? {} : { until }),
    ...(leaf === undefined ? {} : { validUntil: leaf.notAfter }),
  };
}

function whatToDo({ id, spec, status, reason, error }: CertificateRecord): string {
  const name = spec.names[0] ?? id;
  // A shell would take the asterisk for itself.
  const argument = name.includes("*") ? `'${name}'` : name;
  if (error?.code === "paused_by_ca") {
    const where = error.url === undefined ? "at the CA" : `at ${error.url}`;
    return `Only you can end this, ${where}; then: certherd resume ${argument}`;
  }
  if (status === "attention") return `When that is mended: certherd retry ${argument}`;
  if (reason === "node" || reason === "ca") return "It goes on by itself as soon as it can.";
  return `It goes on by itself; not to wait for that: certherd retry ${argument}`;
}
