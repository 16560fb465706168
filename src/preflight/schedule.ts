const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

interface Stage {
  /** Milliseconds since the first failed check; the stage holds until then. */
  until: number;
  /** Milliseconds from one check to the next. */
  every: number;
}

/** When a name that waits is looked at again. A check costs no more than some questions to a name server. */
const STAGES: readonly Stage[] = [
  // Somebody is at it right now: the record was set a minute ago, or the mail has just gone out.
  { until: 10 * MINUTE, every: 2 * MINUTE },
  // Resolvers keep the old answer for its TTL, of which 300 s and 3,600 s are the usual ones.
  { until: HOUR, every: 5 * MINUTE },
  // Somebody reads the mail today.
  { until: DAY, every: 30 * MINUTE },
  // Somebody reads it this week. Thousands of names wait here, for days.
  { until: Number.POSITIVE_INFINITY, every: 4 * HOUR },
];
/** A week, with its working days, is enough to set a record; who needs longer asks for the certificate again. */
const GIVE_UP_AFTER = 7 * DAY;
/** Of each wait, up or down: names of one import do not all come back in the same second. */
const JITTER = 0.1;

/** In place of the table, for tests and the configuration. */
export interface Schedule {
  /** Milliseconds before the second check, the third and so on; the last one repeats. By the table when left out. */
  every?: readonly number[];
  /** Milliseconds after the first failed check; a week when left out. */
  giveUpAfter?: number;
}

export interface Waiting {
  /** Milliseconds since the epoch. */
  firstFailedAt: number;
  /** Checks that have failed so far, the first one included. */
  checks: number;
  /** Milliseconds since the epoch. */
  now: number;
  /** From 0 up to 1, as `Math.random`. */
  random: () => number;
}

/**
 * When a name is to be checked again, in milliseconds since the epoch. The last check is at the very end; undefined
 * after that: give up. Throws nothing.
 */
export function nextCheck(waiting: Waiting, schedule?: Schedule): number | undefined {
  const { firstFailedAt, checks, now, random } = waiting;
  const age = now - firstFailedAt;
  const giveUpAfter = schedule?.giveUpAfter ?? GIVE_UP_AFTER;
  if (age >= giveUpAfter) return undefined;
  const every = schedule?.every === undefined ? stageAt(age) : repeating(schedule.every, checks - 1);
  const wait = Math.round(every * (1 + JITTER * (2 * random() - 1)));
  return Math.min(now + wait, firstFailedAt + giveUpAfter);
}

/** By age and not by count, so that checks that were missed in an outage do not shorten the waits. */
function stageAt(age: number): number {
  return STAGES.find(({ until }) => age < until)?.every ?? 4 * HOUR;
}

function repeating(every: readonly number[], index: number): number {
  return every[Math.max(index, 0)] ?? every.at(-1) ?? 4 * HOUR;
}
