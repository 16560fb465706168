import { AppError, type Disposition } from "../core/errors.ts";

/** A problem document as CAs send it (RFC 8555 §6.7, RFC 9457), with what came beside it. */
export interface Problem {
  type: string;
  detail: string;
  status?: number;
  identifier?: { type: string; value: string };
  subproblems?: Problem[];
  /** Where a person finds what to do (RFC 8555 §7.3.3). */
  instance?: string;
}

const PREFIX = "urn:ietf:params:acme:error:";

/**
 * What each ACME error asks for. Keys are the types of RFC 8555 §6.7 (and RFC 9773 §7.4) without their prefix.
 * Let's Encrypt sends `rateLimited` without Retry-After for a pair of account and name that it has paused: only
 * the operator can end that, at the URL in the detail (letsencrypt.org/docs/rate-limits/#consecutive-authorization-failures-per-identifier-per-account).
 */
const DISPOSITIONS: Readonly<Record<string, Disposition>> = {
  badNonce: "transient",
  serverInternal: "transient",
  orderNotReady: "transient",
  connection: "retry",
  dns: "retry",
  tls: "retry",
  unauthorized: "retry",
  incorrectResponse: "retry",
  caa: "retry",
  rejectedIdentifier: "attention",
  unsupportedIdentifier: "attention",
  badCSR: "attention",
  badPublicKey: "attention",
  malformed: "attention",
  invalidProfile: "attention",
  alreadyReplaced: "retry",
  accountDoesNotExist: "account",
  userActionRequired: "account",
  externalAccountRequired: "account",
  unsupportedContact: "account",
  invalidContact: "account",
  badSignatureAlgorithm: "account",
};

/** camelCase of the CA → snake_case of our codes: "rejectedIdentifier" → "rejected_identifier". */
function codeOf(shortType: string): string {
  return shortType.replace(/([a-z])([A-Z]+)/g, "$1_$2").toLowerCase();
}

export function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

export function shortType(type: string | undefined): string {
  return type?.startsWith(PREFIX) ? type.slice(PREFIX.length) : "";
}

/** The first name that the problem or one of its subproblems speaks of (RFC 8555 §6.7.1). */
function identifierOf(problem: Problem): string | undefined {
  if (problem.identifier) return problem.identifier.value;
  return problem.subproblems?.map(identifierOf).find((name) => name !== undefined);
}

/** A single subproblem says what the problem itself says; several say which name has which fault. */
function sentenceOf({ detail, type, subproblems = [] }: Problem): string {
  const parts = subproblems.length < 2 ? [] : subproblems;
  const named = parts.map((sub) => (sub.identifier ? `${sub.identifier.value}: ${sub.detail}` : sub.detail));
  return [detail || type, ...named].join("; ");
}

/**
 * The error for a problem document. `status` is HTTP's, 0 when the problem came inside an order or a challenge;
 * `retryAt` is in milliseconds since the epoch, from a Retry-After.
 */
export function problemError(problem: Problem, status = 0, retryAt?: number): AppError {
  const short = shortType(problem.type);
  const paused = isPause(short, problem, retryAt);
  return new AppError(sentenceOf(problem), {
    code: paused ? "paused_by_ca" : nameOf(short, status, retryAt),
    url: paused ? /https:\/\/[^\s"<>]+/.exec(problem.detail)?.[0] : undefined,
    disposition: paused ? "attention" : dispositionOf(short, status, retryAt),
    type: problem.type,
    retryAt,
    identifier: identifierOf(problem),
  });
}

/**
 * Only a person can end this, on the page that the sentence names. Other refusals may lack a Retry-After too: Let's
 * Encrypt's of less than half a second do (boulder, ratelimits/limiter.go).
 */
function isPause(short: string, { detail }: Problem, retryAt: number | undefined): boolean {
  return short === "rateLimited" && retryAt === undefined && /please visit/i.test(detail);
}

function nameOf(short: string, status: number, retryAt: number | undefined): string {
  if (status === 503 && retryAt !== undefined) return "busy";
  if (short && status === 404) return "not_found";
  return short ? codeOf(short) : `http_${status}`;
}

function dispositionOf(short: string, status: number, retryAt: number | undefined): Disposition {
  // Too many requests a second, or too much to do: the same request again, when the CA has said.
  if (status === 503 && retryAt !== undefined) return "transient";
  if (short === "rateLimited") return "limit";
  if (status === 429 && retryAt !== undefined) return "limit";
  // An order that the CA has forgotten: the next one is a new one.
  if (short && status === 404) return "retry";
  const known = DISPOSITIONS[short];
  // `unauthorized` of a request, not of a challenge: the account may not do this at all (deactivated, say).
  if (short === "unauthorized" && status > 0) return "account";
  if (known) return known;
  if (status >= 500 || status === 429 || status === 408) return "transient";
  return status >= 400 ? "attention" : "retry";
}
