import type { AppError } from "../core/errors.ts";

/** What the queue does with a certificate whose step has failed. Times in milliseconds since the epoch. */
export type QueueAction =
  /** The same step again: nobody's fault, no attempt spent. `waiting` once it is worth showing. */
  | { kind: "again"; at: number; waiting: boolean }
  /** A new order at that moment. */
  | { kind: "reorder"; at: number; reason: "retry" | "limit"; countsAsAttempt: boolean }
  /** Nothing more until a person acts. */
  | { kind: "stop"; reason: "person" | "node" }
  /** Nothing more of the whole account until a person acts. */
  | { kind: "stopAccount" };

export interface FailureContext {
  now: number;
  /** Failed attempts in a row before this one. */
  attempts: number;
  /** Tries in a row of this step that failed for nobody's fault. */
  transient: number;
  /** Delays after the first, second, … failed attempt, milliseconds; the last one repeats. */
  retry: readonly number[];
  /** 0 to 1. */
  random: number;
}

const TRANSIENT_FIRST = 1_000;
const TRANSIENT_LAST = 300_000;
/** From this try on, a CA that does not answer is shown as what the certificate waits for. */
const TRANSIENT_SHOWN = 3;
/** Spread over this part of a delay, so that what failed together does not come back together. */
const JITTER = 0.1;

/** The one mapping from an error to what the queue does about it. */
export function queueAction(error: AppError, context: FailureContext): QueueAction {
  const { now, transient } = context;
  switch (error.disposition) {
    case "transient":
    case "unavailable": {
      const delay = Math.min(TRANSIENT_FIRST * 2 ** transient, TRANSIENT_LAST);
      const at = Math.max(now + jittered(delay, context.random), error.retryAt ?? 0);
      return { kind: "again", at, waiting: transient + 1 >= TRANSIENT_SHOWN };
    }
    case "limit":
      return {
        kind: "reorder",
        at: error.retryAt ?? now + TRANSIENT_LAST,
        reason: "limit",
        countsAsAttempt: false,
      };
    case "retry":
    case "internal":
      return { kind: "reorder", at: retryAt(error, context), reason: "retry", countsAsAttempt: true };
    case "node":
      return { kind: "stop", reason: "node" };
    case "attention":
    case "usage":
      return { kind: "stop", reason: "person" };
    case "account":
      return { kind: "stopAccount" };
  }
}

/** A CAA record is the owner's to change, which nobody does within a minute: it starts at the third delay. */
function retryAt(error: AppError, { now, attempts, retry, random }: FailureContext): number {
  const step = error.code === "caa" ? attempts + 2 : attempts;
  const delay = retry[Math.min(step, retry.length - 1)] ?? TRANSIENT_LAST;
  return Math.max(now + jittered(delay, random), error.retryAt ?? 0);
}

function jittered(delay: number, random: number): number {
  return Math.round(delay * (1 + JITTER * random));
}
