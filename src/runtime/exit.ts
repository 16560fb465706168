import { asAppError, type Disposition } from "../core/errors.ts";

/** 0 all well, 1 some certificates or rows failed, 2 usage or configuration, 3 Redis, CA or disk out of reach. */
export type ExitCode = 0 | 1 | 2 | 3;

/** The one mapping from an error to an exit code. */
export function exitCodeOf(thrown: unknown): ExitCode {
  const { disposition } = asAppError(thrown);
  return EXIT_CODES[disposition];
}

const EXIT_CODES: Record<Disposition, ExitCode> = {
  transient: 3,
  unavailable: 3,
  account: 3,
  node: 3,
  usage: 2,
  retry: 1,
  limit: 1,
  attention: 1,
  internal: 1,
};

/** One sentence for a person; a stack only where the fault is our own, as it is what we need then. */
export function explain(thrown: unknown): string {
  const error = asAppError(thrown);
  if (error.disposition !== "internal") return error.message;
  const cause = error.cause instanceof Error ? error.cause : error;
  return `A fault in Certherd itself, please report it: ${cause.stack ?? cause.message}`;
}
