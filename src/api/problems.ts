import { STATUS_CODES } from "node:http";
import type { CertificateRecord } from "../core/certificate.ts";
import { AppError, usageError } from "../core/errors.ts";

/** One field of a request that is wrong. */
export interface FieldError {
  /** As in the request, with dots: `mail.to`, `names.0`. */
  field: string;
  /** What stands there, as far as it can be shown. */
  value: string;
  /** A sentence: what is wrong, and how to mend it. */
  reason: string;
}

/** RFC 9457. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: readonly FieldError[];
}

/** What is wrong with a request, where HTTP has a status of its own for it, or where there is a list of it. */
export class RequestError extends AppError {
  readonly status: number;
  readonly errors: readonly FieldError[];

  constructor(status: number, code: string, message: string, errors: readonly FieldError[] = []) {
    super(message, { code, disposition: "usage" });
    this.status = status;
    this.errors = errors;
  }
}

/** Codes of other folders that HTTP has a status of its own for. */
const USAGE_STATUS: Readonly<Record<string, number>> = {
  not_found: 404,
  csv_too_large: 413,
  paused: 409,
  on_its_way: 409,
  not_failed: 409,
  not_paused: 409,
  asked_again: 409,
  nothing_to_revoke: 409,
  ca_unknown: 409,
};
const UNPROCESSABLE = 422;

/** Seconds after which what is out of reach now may be there again. */
const SOON = 5;

/** The one mapping from an error to an answer, and to its Retry-After in seconds, if it has one. */
export function problemOf(error: AppError, now: number): { problem: Problem; retryAfter?: number } {
  const { status, retryAfter } = statusOf(error, now);
  return {
    problem: {
      type: `urn:certherd:error:${error.code}`,
      title: STATUS_CODES[status] ?? "Error",
      status,
      // What went wrong inside is for the log; it may tell more than a caller should know.
      detail:
        error.disposition === "internal" ? "A fault in Certherd itself; its log tells more." : error.message,
      ...(error instanceof RequestError && error.errors.length > 0 ? { errors: error.errors } : {}),
    },
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}

function statusOf(error: AppError, now: number): { status: number; retryAfter?: number } {
  switch (error.disposition) {
    case "usage":
      return {
        status: error instanceof RequestError ? error.status : (USAGE_STATUS[error.code] ?? UNPROCESSABLE),
      };
    case "limit":
      return { status: 429, retryAfter: secondsUntil(error.retryAt, now) };
    case "transient":
    case "retry":
    case "node":
    case "unavailable":
      return { status: 503, retryAfter: secondsUntil(error.retryAt, now) };
    case "attention":
      return { status: 409 };
    case "account":
      return { status: 502 };
    case "internal":
      return { status: 500 };
  }
}

function secondsUntil(at: number | undefined, now: number): number {
  return at === undefined ? SOON : Math.max(1, Math.ceil((at - now) / 1_000));
}

export function redisUnavailable(cause?: unknown): AppError {
  return new AppError("Redis does not answer; try again in a few seconds.", {
    code: "redis_unavailable",
    disposition: "unavailable",
    cause,
  });
}

export function notFound(what: string): RequestError {
  return new RequestError(404, "not_found", what);
}

export function notPaused({ spec }: Pick<CertificateRecord, "spec">): AppError {
  return usageError("not_paused", `${spec.names[0]} is not paused: nothing is to be resumed.`);
}
