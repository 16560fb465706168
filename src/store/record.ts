import type {
  CertificateRecord,
  CertificateSpec,
  CertificateState,
  IssuedLeaf,
  NodeState,
  Status,
} from "../core/certificate.ts";
import type { StoredError } from "../core/errors.ts";

/** What a transition changes; of the state, a field that is left out is cleared, `attempts` apart. */
export interface Transition extends Partial<Omit<CertificateState, "status">> {
  status: Status;
  leaf?: IssuedLeaf;
  /** Stay as they are when left out. */
  account?: string;
  checkedAt?: number;
  served?: string;
  /** Ends a pause; without it, what is paused or removed stays so. */
  resumes?: boolean;
  event?: { what: string; detail?: string };
}

/** The fields of a certificate's hash, in the order in which `toRecord` takes their values. */
export const FIELDS = [
  "spec",
  "status",
  "reason",
  "detail",
  "until",
  "error",
  "attempts",
  "generation",
  "import",
  "acceptedAt",
  "orderUrl",
  "leaf",
  "account",
  "checkedAt",
  "nodes",
  "served",
] as const;

/** Field, value, …; an empty value clears the field. What a transition does not name of the state is cleared. */
export function changedFields(change: Transition): (string | number)[] {
  return [
    ...["reason", change.reason ?? ""],
    ...["detail", change.detail ?? ""],
    ...["until", change.until ?? ""],
    ...["error", change.error === undefined ? "" : JSON.stringify(change.error)],
    ...(change.attempts === undefined ? [] : ["attempts", change.attempts]),
    ...(change.leaf === undefined ? [] : ["leaf", JSON.stringify(change.leaf)]),
    ...(change.account === undefined ? [] : ["account", change.account]),
    ...(change.checkedAt === undefined ? [] : ["checkedAt", change.checkedAt]),
    ...(change.served === undefined ? [] : ["served", change.served]),
  ];
}

/** The record of a hash; undefined where there is none. */
export function toRecord(id: string, row: (string | null)[]): CertificateRecord | undefined {
  const [
    spec,
    status,
    reason,
    detail,
    until,
    error,
    attempts,
    generation,
    importId,
    acceptedAt,
    orderUrl,
    leaf,
    account,
    checkedAt,
    nodes,
    served,
  ] = row;
  if (!spec || !status) return undefined;
  return {
    id,
    spec: JSON.parse(spec) as CertificateSpec,
    status: status as Status,
    attempts: Number(attempts ?? 0),
    generation: Number(generation ?? 0),
    acceptedAt: Number(acceptedAt ?? 0),
    ...(reason ? { reason: reason as NonNullable<CertificateRecord["reason"]> } : {}),
    ...(detail ? { detail } : {}),
    ...(until ? { until: Number(until) } : {}),
    ...(error ? { error: JSON.parse(error) as StoredError } : {}),
    ...(importId ? { importId } : {}),
    ...(orderUrl ? { orderUrl } : {}),
    ...(leaf ? { leaf: JSON.parse(leaf) as IssuedLeaf } : {}),
    ...(account ? { account } : {}),
    ...(checkedAt ? { checkedAt: Number(checkedAt) } : {}),
    ...(nodes ? { nodes: JSON.parse(nodes) as Record<string, NodeState> } : {}),
    ...(served ? { served } : {}),
  };
}
