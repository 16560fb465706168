/**
 * How Boulder says no, word for word, as clients read these: ratelimits/limiter.go, errors/errors.go and
 * wfe2/wfe.go as of August 2026. Boulder adds up to 3 % to a wait at random, and rounds to the nearest second, so
 * that "0 s" is left out. Here a wait is exact, and rounded up.
 */
import type { Exceeded, OrderLimit } from "./boulder-limits.ts";
import type { Answer } from "./gate.ts";

const DOCS = "https://letsencrypt.org/docs/rate-limits";
const SELF_SERVICE = "https://portal.ca.example/sfe/v1/unpause";
const ANCHORS: Readonly<Record<OrderLimit, string>> = {
  newOrders: "new-orders-per-account",
  certificatesPerDomain: "new-certificates-per-registered-domain",
  certificatesPerNameSet: "new-certificates-per-exact-set-of-identifiers",
  failedAuthorizations: "authorization-failures-per-identifier-per-account",
};

export function limitedAnswer({ limit, of, key, retryIn }: Exceeded, now: number, nonce: string): Answer {
  const last = `in the last ${goDuration(of.periodMs)}`;
  const what: Record<OrderLimit, string> = {
    newOrders: `too many new orders (${of.count}) from this account ${last}`,
    certificatesPerDomain: `too many certificates (${of.count}) already issued for "${key}" ${last}`,
    certificatesPerNameSet: `too many certificates (${of.count}) already issued for this exact set of identifiers ${last}`,
    failedAuthorizations: `too many failed authorizations (${of.count}) for "${key}" ${last}`,
  };
  const at = new Date(now + retryIn).toISOString().slice(0, 19).replace("T", " ");
  const detail = `${what[limit]}, retry after ${at} UTC: see ${DOCS}/#${ANCHORS[limit]}`;
  const more = ["Retry-After", seconds(retryIn), "Link", `<${DOCS}>;rel="help"`];
  return problem(429, detail, ["Replay-Nonce", nonce, ...more]);
}

/** No Retry-After: waiting does not help. */
export function pausedAnswer(account: string, names: string, nonce: string): Answer {
  const parts = [{ alg: "HS256" }, { sub: account, identifiers: names }, "not signed"];
  const jwt = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const detail =
    `Your account is temporarily prevented from requesting certificates for ${names} and possibly others. ` +
    `Please visit: ${SELF_SERVICE}?jwt=${jwt}`;
  return problem(429, detail, ["Replay-Nonce", nonce]);
}

/** What stands before Boulder gives this, so there is no nonce: https://community.letsencrypt.org/t/184174 */
export function busyAnswer(retryIn: number): Answer {
  return problem(503, "Service busy; retry later.", ["Retry-After", seconds(retryIn)]);
}

function problem(status: number, detail: string, headers: string[]): Answer {
  const body = JSON.stringify({ type: "urn:ietf:params:acme:error:rateLimited", detail, status });
  const rawHeaders = ["Content-Type", "application/problem+json", "Cache-Control", "no-store", ...headers];
  return { status, rawHeaders, body: Buffer.from(body) };
}

function seconds(ms: number): string {
  return `${Math.max(1, Math.ceil(ms / 1_000))}`;
}

/** As Go writes a duration: 3h0m0s, 1m30s, 10.8s, 36ms. */
export function goDuration(ms: number): string {
  if (ms === 0) return "0s";
  if (ms < 1_000) return `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const rest = `${(ms % 60_000) / 1_000}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
