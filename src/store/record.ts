import {
  type CertificateRecord,
  type CertificateSpec,
  type CertificateState,
  type IssuedLeaf,
  type NodeState,
  namesKey,
  type RenewalState,
  type Status,
} from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import type { StoredError } from "../core/errors.ts";

/** What a transition changes; of the state, a field that is left out is cleared, `attempts` apart. */
export interface Transition extends Partial<Omit<CertificateState, "status">> {
  status: Status;
  leaf?: IssuedLeaf;
  /** Goes with the leaf: that of the one before is forgotten. */
  schedule?: RenewalState;
  /** Stay as they are when left out. */
  account?: string;
  checkedAt?: number;
  served?: string;
  /** Ends a pause; without it, what is paused or removed stays so. */
  resumes?: boolean;
  event?: { what: string; detail?: string };
}

/** `deploy`: its certificate is there, and only the deployment that has failed is tried again. */
export type AcceptAction = "new" | "reorder" | "retry" | "deploy" | "updated" | "unchanged";

/** Whether accepting it leads to an order, or to a deployment. */
export function isToBeDone(action: AcceptAction): boolean {
  return action !== "unchanged" && action !== "updated";
}

export interface Accepted {
  id: string;
  action: AcceptAction;
  generation: number;
  /** It has a certificate already. */
  hasLeaf: boolean;
  /** The account that its generation before was ordered with, if that is known. */
  accountBefore: string | undefined;
}

export interface CertificateEvent {
  at: string;
  what: string;
  detail?: string;
  /** Who has asked for it, where somebody has. */
  by?: string;
  /** What it has come to with that. */
  status?: Status;
  /** Of the error that has brought it there. */
  code?: string;
}

/** What is told of a transition. */
export function eventOf(
  { status, error }: Transition,
  { what, detail }: { what: string; detail?: string },
  now: number,
): CertificateEvent {
  return {
    at: rfc3339(now),
    what,
    ...(detail === undefined ? {} : { detail }),
    status,
    ...(error === undefined ? {} : { code: error.code }),
  };
}

export interface TransitionResult {
  /** False when a newer generation has overtaken the caller: nothing was changed, and nothing more is to be done. */
  ok: boolean;
  /** Whether an import was waiting for it to settle, and will tell of it in its digest. */
  awaited: boolean;
  /** Imports whose last certificate this was. */
  ended: string[];
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
  "schedule",
] as const;

/** Field, value, …; an empty value clears the field. What a transition does not name of the state is cleared. */
export function changedFields(change: Transition): (string | number)[] {
  return [
    ...["reason", change.reason ?? ""],
    ...["detail", change.detail ?? ""],
    ...["until", change.until ?? ""],
    ...["error", change.error === undefined ? "" : JSON.stringify(change.error)],
    ...(change.attempts === undefined ? [] : ["attempts", change.attempts]),
    ...leafFields(change),
    ...(change.account === undefined ? [] : ["account", change.account]),
    ...(change.checkedAt === undefined ? [] : ["checkedAt", change.checkedAt]),
    ...(change.served === undefined ? [] : ["served", change.served]),
  ];
}

/** A leaf that is there already, and is only noted anew, keeps what the CA has suggested for it. */
function leafFields({ leaf, schedule }: Pick<Transition, "leaf" | "schedule">): (string | number)[] {
  if (leaf === undefined) return [];
  const fields = ["leaf", JSON.stringify(leaf)];
  return schedule === undefined ? fields : [...fields, "schedule", JSON.stringify(schedule)];
}

/** The record of a hash; undefined where there is none. */
export function toRecord(id: string, row: readonly (string | null | false)[]): CertificateRecord | undefined {
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
    schedule,
  ] = row;
  if (!spec || !status) return undefined;
  return {
    id,
    spec: JSON.parse(spec) as CertificateSpec,
    status: status as Status,
    attempts: Number(attempts || 0),
    generation: Number(generation || 0),
    acceptedAt: Number(acceptedAt || 0),
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
    ...(schedule ? { schedule: JSON.parse(schedule) as RenewalState } : {}),
  };
}

/** The hash of a record, without what is empty. */
export function toFields(record: CertificateRecord): Record<string, string> {
  const { spec, generation, importId, acceptedAt, orderUrl, status, nodes } = record;
  const fields: Record<string, string> = {
    spec: JSON.stringify(spec),
    namesKey: namesKey(spec.names),
    generation: String(generation),
    acceptedAt: String(acceptedAt),
    status,
    ...(importId === undefined ? {} : { import: importId }),
    ...(orderUrl === undefined ? {} : { orderUrl }),
    ...(nodes === undefined ? {} : { nodes: JSON.stringify(nodes) }),
  };
  const rest = changedFields(record);
  for (let i = 0; i < rest.length; i += 2)
    if (rest[i + 1] !== "") fields[String(rest[i])] = String(rest[i + 1]);
  return fields;
}
