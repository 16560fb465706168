/**
 * What has to happen after an error. Decided where the error is understood, and carried with it:
 * - transient: nobody's fault (network, 5xx). The same step again soon; costs no attempt.
 * - retry:     the attempt failed (a validation, say). A new order after the retry table's delay.
 * - limit:     a limit of the CA. Wait until `retryAt`; costs no attempt.
 * - attention: a person must act first. No further try on our own.
 * - account:   the CA refuses the account itself. Nothing of this account may go on until a person acts.
 * - node:      this host, or a node that certificates are brought to, cannot do its part now (a port is taken).
 * - usage:     the caller's input or configuration is wrong.
 * - unavailable: Redis, the CA or the disk is out of reach for a command that needs it.
 * - internal:  a fault of Certherd's own.
 */
export type Disposition =
  | "transient"
  | "retry"
  | "limit"
  | "attention"
  | "account"
  | "node"
  | "usage"
  | "unavailable"
  | "internal";

export interface ErrorDetails {
  /** Stable, snake_case; what scripts compare. */
  code: string;
  disposition: Disposition;
  /** The ACME problem type as the CA sent it, when there was one. */
  type?: string | undefined;
  /** Milliseconds since the epoch; not before then. */
  retryAt?: number | undefined;
  /** The name that failed, as an A-label. */
  identifier?: string | undefined;
  /** A page on which a person can end it. */
  url?: string | undefined;
  /** The request has certainly not reached the CA, so the CA has counted nothing. */
  unsent?: boolean;
  cause?: unknown;
}

/** The one error that crosses folders: a sentence for a person, and what is needed to act on it. */
export class AppError extends Error {
  readonly code: string;
  readonly disposition: Disposition;
  readonly type: string | undefined;
  readonly retryAt: number | undefined;
  readonly identifier: string | undefined;
  readonly url: string | undefined;
  readonly unsent: boolean;

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "AppError";
    this.code = details.code;
    this.disposition = details.disposition;
    this.type = details.type;
    this.retryAt = details.retryAt;
    this.identifier = details.identifier;
    this.url = details.url;
    this.unsent = details.unsent ?? false;
  }
}

/** The form in which an error is stored and shown: `error` of the JSON contract. */
export interface StoredError {
  code: string;
  type: string;
  detail: string;
  identifier?: string;
  url?: string;
  /** What the owner of the name has to set in DNS (or to remove, where there is no value to set). */
  records?: { name: string; type: string; set?: string | undefined; today: string; why: string }[];
}

export function storedError(error: AppError): StoredError {
  return {
    code: error.code,
    type: error.type ?? `urn:certherd:error:${error.code}`,
    detail: error.message,
    ...(error.identifier === undefined ? {} : { identifier: error.identifier }),
    ...(error.url === undefined ? {} : { url: error.url }),
  };
}

/** Anything thrown, as an AppError; what is none yet is a fault of our own. */
export function asAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new AppError(message, { code: "internal", disposition: "internal", cause: thrown });
}

/** A short way to say that the input or the configuration is wrong. */
export function usageError(code: string, message: string): AppError {
  return new AppError(message, { code, disposition: "usage" });
}
