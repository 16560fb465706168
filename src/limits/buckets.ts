import { namesKey } from "../core/certificate.ts";
import { registeredDomain } from "../core/names.ts";
import { emission } from "./gcra.ts";
import { type CaLimits, type Limit, limitFor, type OrderLimit } from "./table.ts";

/**
 * What an order need not pay for:
 * - renewal: the very same names were certified by this CA within 120 days: neither new orders nor registered domains.
 * - ari:     it `replaces` a certificate within its suggested window: nothing at all.
 * https://letsencrypt.org/docs/rate-limits/#limit-exemptions-for-renewals
 */
export type Exemption = "none" | "renewal" | "ari";

/** Exemption by the same names: https://letsencrypt.org/docs/rate-limits/#non-ari-renewals. A day is left for clocks. */
const RENEWAL_WINDOW = 119 * 86_400_000;

/**
 * A limit that is not known holds nobody back; but when the CA says that it is met, that has to be kept, or the next
 * order would be refused, too.
 */
export const UNKNOWN: Limit = { count: 1_000, period: 1_000 };

/** How a bucket stands: `tat` in milliseconds since the epoch, 0 when it is full; tokens held for orders in flight. */
export interface BucketState {
  tat: number;
  holds: number;
}

/** One bucket that an order takes a token of. Times in milliseconds. */
export interface Bucket {
  limit: OrderLimit;
  /** "" for the account's own; a registered domain; the key of a set of names. */
  subject: string;
  emission: number;
  burst: number;
}

/** The buckets of an order for these names, the account's first. */
export function bucketsOf(names: readonly string[], limits: CaLimits, exemption: Exemption): Bucket[] {
  if (exemption === "ari") return [];
  const wanted: [OrderLimit, string][] = [["certificatesPerNameSet", namesKey(names)]];
  if (exemption === "none") {
    wanted.unshift(["newOrders", ""]);
    for (const domain of new Set(names.map(domainOf))) wanted.push(["certificatesPerDomain", domain]);
  }
  return wanted.map(([limit, subject]) => bucketOf(limits, limit, subject));
}

export function bucketOf(limits: CaLimits, limit: OrderLimit, subject: string): Bucket {
  return { limit, subject, ...sizeOf(limit, limitFor(limits, limit, subject) ?? UNKNOWN) };
}

/** What we use of a limit: one order of the account stays in hand, for a request that was lost and has to be made again. */
export function sizeOf(limit: OrderLimit, allowed: Limit): Pick<Bucket, "emission" | "burst"> {
  const burst = limit === "newOrders" ? Math.max(1, allowed.count - 1) : allowed.count;
  return { emission: emission(allowed), burst };
}

/** A wildcard counts for the domain below it. */
export function domainOf(name: string): string {
  return registeredDomain(name.replace(/^\*\./, ""));
}

/** What the index knows of the certificate in use. */
export interface Renewed {
  ca?: string;
  set?: string;
  issuedAt?: number;
  /** The CA's suggested window, where the order says which certificate it `replaces`. */
  window?: { start: number; end: number } | undefined;
}

/**
 * Whether this CA certified the same names lately. The CA knows a renewal that it has suggested by `replaces`, and only
 * within the window (boulder, wfe2/wfe.go).
 */
export function exemptionOf(
  names: readonly string[],
  leaf: Renewed | undefined,
  ca: string,
  limits: CaLimits,
  now: number,
): Exemption {
  if (!limits.renewalsExempt || leaf?.ca !== ca || leaf.set !== namesKey(names)) return "none";
  if (leaf.window && leaf.window.start <= now && now < leaf.window.end) return "ari";
  return now - (leaf.issuedAt ?? 0) < RENEWAL_WINDOW ? "renewal" : "none";
}
