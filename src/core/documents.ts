import type { CertificateRecord, RenewalState, RenewalWindow, Status } from "./certificate.ts";
import { rfc3339 } from "./clock.ts";
import type { StoredError } from "./errors.ts";

/** One certificate as `list --json`, `show --json` and the HTTP API give it. */
export interface CertificateDocument {
  name: string;
  names: string[];
  status: Status;
  reason?: string;
  detail?: string;
  until?: string;
  /** By when it should be done, as things stand. */
  doneBy?: string;
  error?: StoredError;
  ca?: string;
  attempts: number;
  notBefore?: string;
  notAfter?: string;
  issuer?: string;
  serial?: string;
  renewAt?: string;
  /** What the CA suggests for the renewal (RFC 9773), and why, where it says so. */
  suggested?: { start: string; end: string; explanationUrl?: string };
  revokedAt?: string;
  /** As they were seen last. `owed`: why one still waits for it. */
  nodes: { node: string; serving: boolean; serial?: string; seenAt?: string; owed?: string }[];
}

/** One certificate as an import's document gives it. */
export interface ImportedCertificateDocument {
  name: string;
  status: Status;
  reason?: string;
  until?: string;
  error?: StoredError;
}

export function certificateDocument(record: CertificateRecord, doneBy?: number): CertificateDocument {
  const { spec, status, leaf, schedule } = record;
  const ca = record.account ?? spec.ca;
  return {
    name: spec.names[0] ?? "",
    names: spec.names,
    status,
    ...(record.reason === undefined ? {} : { reason: record.reason }),
    ...(record.detail === undefined ? {} : { detail: record.detail }),
    ...(record.until === undefined ? {} : { until: rfc3339(record.until) }),
    ...(record.error === undefined ? {} : { error: record.error }),
    ...(doneBy === undefined ? {} : { doneBy: rfc3339(doneBy) }),
    ...(ca === undefined ? {} : { ca }),
    attempts: record.attempts,
    ...(leaf === undefined
      ? {}
      : {
          notBefore: rfc3339(leaf.notBefore),
          notAfter: rfc3339(leaf.notAfter),
          issuer: leaf.issuer,
          serial: leaf.serial,
          renewAt: rfc3339(leaf.renewAt),
          ...(leaf.revokedAt === undefined ? {} : { revokedAt: rfc3339(leaf.revokedAt) }),
        }),
    ...(schedule?.window === undefined ? {} : { suggested: suggestion(schedule.window, schedule) }),
    nodes: Object.entries(record.nodes ?? {}).map(([node, { ok, serial, at, owed }]) => ({
      node,
      serving: ok && serial === leaf?.serial,
      ...(serial ? { serial } : {}),
      seenAt: rfc3339(at),
      ...(owed === undefined ? {} : { owed }),
    })),
  };
}

function suggestion(
  { start, end }: RenewalWindow,
  { explanationUrl }: RenewalState,
): NonNullable<CertificateDocument["suggested"]> {
  return {
    start: rfc3339(start),
    end: rfc3339(end),
    ...(explanationUrl === undefined ? {} : { explanationUrl }),
  };
}

export function importedCertificateDocument(record: CertificateRecord): ImportedCertificateDocument {
  const { spec, status, reason, until, error } = record;
  return {
    name: spec.names[0] ?? "",
    status,
    ...(reason === undefined ? {} : { reason }),
    ...(until === undefined ? {} : { until: rfc3339(until) }),
    ...(error === undefined ? {} : { error }),
  };
}
