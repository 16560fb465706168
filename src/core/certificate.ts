import { createHash } from "node:crypto";
import { domainToUnicode } from "node:url";
import type { StoredError } from "./errors.ts";

export const KEY_TYPES = ["ec256", "ec384", "rsa2048", "rsa3072", "rsa4096"] as const;
export type KeyType = (typeof KEY_TYPES)[number];

export const CHALLENGES = ["http-01", "dns-01"] as const;
export type ChallengeType = (typeof CHALLENGES)[number];

/** BullMQ's sense: 1 goes first. Every job has one, as jobs without would run before all others. */
export const PRIORITY = { urgent: 1, high: 10, normal: 50, low: 90 } as const;
export const PRIORITY_LOWEST = 100;

/** Whom to tell, and through which relay. `to` and `relay` go together; `from` may come from the configuration. */
export interface MailRoute {
  from?: string;
  to: string;
  relay: string;
  port: number;
  /** It was named over HTTP: where the relay leads is looked at again before each mail. */
  checked?: true;
}

/** What was asked for: all that is needed to order, and to renew, one certificate. */
export interface CertificateSpec {
  /** A-labels, lower case, no duplicates, 1 to 100 of them; the first one names the certificate. */
  names: string[];
  vipPort: number;
  acmePort: number;
  mail?: MailRoute;
  /** A name from the configuration's `cas`; the first of them when left out. */
  ca?: string;
  profile?: string;
  keyType: KeyType;
  challenge: ChallengeType;
  priority: number;
}

export const DEFAULTS = {
  vipPort: 443,
  acmePort: 8888,
  relayPort: 25,
  keyType: "ec256",
  challenge: "http-01",
  priority: PRIORITY.normal,
} as const;

export const STATUSES = [
  "queued",
  "waiting",
  "checking",
  "ordering",
  "validating",
  "finalizing",
  "issued",
  "deploying",
  "serving",
  "attention",
  "paused",
  "removed",
] as const;
export type Status = (typeof STATUSES)[number];

export const REASONS = ["limit", "retry", "customer", "node", "ca", "person"] as const;
export type Reason = (typeof REASONS)[number];

/** The leaf that is on disk, as `list` shows it. Times in milliseconds, serial in upper-case hex as openssl prints it. */
export interface IssuedLeaf {
  notBefore: number;
  notAfter: number;
  issuer: string;
  serial: string;
  renewAt: number;
  /** When it was obtained, and what for: the CA counts by that. Missing in files of earlier versions. */
  issuedAt?: number;
  /** The CA, by its name in the configuration. */
  ca?: string;
  /** `namesKey` of its names. */
  set?: string;
  /** It took no token of new orders and registered domains, as it renewed one for the same names. */
  exempt?: boolean;
  /** When the one was obtained that took those tokens, where that was within the week before. */
  paidAt?: number;
  /** The serial of the one for the same names that it renews. */
  renews?: string;
  /** When we had it revoked, milliseconds since the epoch. */
  revokedAt?: number;
  /** By which the CA knows it (RFC 9773 §4.1); missing where it cannot be told. */
  certId?: string;
  /** The generation that obtained it: while that is the present one, only its deployment is still to be done. */
  generation?: number;
}

/** What the CA suggests for the renewal of the leaf that is there (RFC 9773 §4.2). Times in milliseconds. */
export interface RenewalState {
  /** The window in which the CA would have it renewed; the instant chosen in it is the leaf's `renewAt`. */
  window?: RenewalWindow;
  /** Why, where the CA says so. */
  explanationUrl?: string;
  /** When the CA is asked again; it is not asked where this is missing. */
  pollAt?: number;
  /** How often in a row it could not be asked. */
  failures?: number;
  /** How long before its end a person was warned last, as nothing had renewed it. */
  warned?: number;
}

export interface RenewalWindow {
  start: number;
  end: number;
}

/** What one node serves under a certificate's names, as it was seen last. */
export interface NodeState {
  /** Whether that was the newest leaf, with its chain. */
  ok: boolean;
  /** Of the leaf that was seen, upper-case hex; "" for none. Missing where nothing could be seen. */
  serial?: string;
  /** Milliseconds since the epoch. */
  at: number;
  /** The termination that it was deployed for. */
  vipPort: number;
  /** Other terminations of this node that it is still to be taken away from, as its port was changed. */
  leaves?: number[];
  /** The leaf that was taken back, as this node did not serve it: not tried again by itself. */
  refused?: string;
  /** Why it still waits for its certificate. */
  owed?: string;
}

/** Where a certificate stands. Changed only through the store, fenced by its generation. */
export interface CertificateState {
  status: Status;
  reason?: Reason;
  /** A sentence for a person. */
  detail?: string;
  /** Milliseconds since the epoch: when it goes on by itself. */
  until?: number;
  error?: StoredError;
  /** Failed attempts in a row. */
  attempts: number;
}

export interface CertificateRecord extends CertificateState {
  id: string;
  spec: CertificateSpec;
  /** Counts the orders asked for; work of an older generation stops where it stands. */
  generation: number;
  /** The import that asked last, or undefined for a single enqueue. */
  importId?: string;
  /** When the current generation was accepted, milliseconds since the epoch. */
  acceptedAt: number;
  /** The order of this generation at the CA, once there is one. */
  orderUrl?: string;
  /** The CA that took over from the one that was asked first. */
  account?: string;
  /** When its names were last found to lead here, milliseconds since the epoch. */
  checkedAt?: number;
  leaf?: IssuedLeaf;
  schedule?: RenewalState;
  /** By the node's name. */
  nodes?: Record<string, NodeState>;
  /** The serial of the leaf that was told to be in use, on every node. */
  served?: string;
}

/** The certificate's folder and its key in Redis: its first name, `*` as `_` (as acme.sh does). */
export function certificateId(firstName: string): string {
  return firstName.replace("*", "_");
}

/** The first name of a certificate, by its id. */
export function firstNameOf(id: string): string {
  return id.replace(/^_/, "*");
}

/**
 * What a certificate is found by beside its first name: its other names, and each internationalized one as people write
 * it. "" for nothing.
 */
export function otherNames(names: readonly string[]): string {
  const written = names.filter((name) => name.includes("xn--")).map((name) => domainToUnicode(name));
  return [...names.slice(1), ...written].join(" ");
}

/** Equal for the same set of names, in whatever order (the CA counts certificates by this set). */
export function namesKey(names: readonly string[]): string {
  return createHash("sha256")
    .update([...names].sort().join(","))
    .digest("base64url")
    .slice(0, 22);
}

/** The CA account that a certificate is ordered with. `fallback`: the first one of the configuration. */
export function accountOf(record: Pick<CertificateRecord, "spec" | "account">, fallback: string): string {
  return record.account ?? record.spec.ca ?? fallback;
}

/** Who holds places and tokens of an account's limits: one order of one certificate. */
export function holderOf(record: Pick<CertificateRecord, "id" | "generation">): string {
  return `${record.id}#${record.generation}`;
}

/** Whose order a holder is. */
export function heldBy(holder: string): Pick<CertificateRecord, "id" | "generation"> {
  const at = holder.lastIndexOf("#");
  return { id: holder.slice(0, at), generation: Number(holder.slice(at + 1)) };
}

/** What its present generation asked the CA for is there: whatever is still to be done is its deployment. */
export function isIssued({ leaf, generation }: Pick<CertificateRecord, "leaf" | "generation">): boolean {
  return leaf?.generation === generation;
}

/** A certificate that `--wait` no longer waits for, and that no longer holds its import's digest open. */
export function isSettled(state: Pick<CertificateState, "status" | "reason">): boolean {
  switch (state.status) {
    case "issued":
    case "serving":
    case "attention":
    case "paused":
    case "removed":
      return true;
    case "waiting":
      return state.reason === "retry" || state.reason === "customer" || state.reason === "node";
    case "queued":
    case "checking":
    case "ordering":
    case "validating":
    case "finalizing":
    case "deploying":
      return false;
  }
}

/** Its newest leaf is there, and in use where that can be told. */
export function isObtained({ status }: Pick<CertificateState, "status">): boolean {
  return status === "issued" || status === "serving";
}

/** One that nothing more is to be ordered for now; what may still be done is its deployment. */
export function isRenewable(record: CertificateRecord): boolean {
  const { status } = record;
  return isObtained(record) || (isIssued(record) && status !== "paused" && status !== "removed");
}

/** When its renewal is to be looked at next: it is due, or the CA is to be asked. Milliseconds since the epoch. */
export function lookAt({ leaf, schedule }: Pick<CertificateRecord, "leaf" | "schedule">): number {
  return Math.min(leaf?.renewAt ?? Number.POSITIVE_INFINITY, schedule?.pollAt ?? Number.POSITIVE_INFINITY);
}

/** Names that a later import or `retry` tries again: they stand still for a failure, not for a limit. */
export function isRetriable(state: Pick<CertificateState, "status" | "reason">): boolean {
  return state.status === "attention" || (state.status === "waiting" && state.reason !== "limit");
}
