import { rfc3339 } from "../core/clock.ts";
import { humanDuration } from "../core/duration.ts";
import { AppError } from "../core/errors.ts";
import type { Streak } from "./ledger.ts";

/** When a name that fails again and again is given up until a person acts. */
export interface PatiencePolicy {
  /** Milliseconds since the first failure of the row. */
  giveUpAfter: number;
  /** Failures in a row, however quickly they came: somebody may retry by hand. */
  failures: number;
}

/**
 * A name that has moved away must not be tried for ever: Let's Encrypt pauses it for the account after 1,152 failures
 * in a row, and then only a person can end that (https://letsencrypt.org/docs/rate-limits/, consecutive failures).
 */
export const PATIENCE: PatiencePolicy = { giveUpAfter: 7 * 86_400_000, failures: 300 };

/** The error that parks a certificate, with the evidence; undefined while there is patience left. */
export function exhaustedPatience(
  streak: Streak | undefined,
  last: AppError,
  policy: PatiencePolicy,
  now: number,
): AppError | undefined {
  if (!streak) return undefined;
  const lasted = now - streak.since;
  // One failure a week ago and one now are no row of failures.
  const tooLong = streak.count > 1 && lasted >= policy.giveUpAfter;
  if (!tooLong && streak.count < policy.failures) return undefined;
  const evidence = `${streak.name} has failed ${streak.count} times in a row since ${rfc3339(streak.since)} (${humanDuration(lasted)})`;
  return new AppError(`${evidence}, and is not tried any more. The last time: ${last.message}`, {
    code: "given_up",
    disposition: "attention",
    type: last.type,
    identifier: streak.name,
    cause: last,
  });
}
