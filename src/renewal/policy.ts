import type { IssuedLeaf, RenewalState, RenewalWindow } from "../core/certificate.ts";

/** All in milliseconds. */
export interface RenewalPolicy {
  /** Before the end of a certificate, in place of a part of its lifetime, and of what the CA suggests. */
  renewBefore?: number;
  /** How often the CA is asked: what it says itself, within `least` and `most`; `every` where it says nothing. */
  poll: { least: number; most: number; every: number };
  /** Before the end of a certificate that nothing has renewed: a person is warned at each of them. */
  warn: readonly number[];
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** RFC 9773 §4.3.1 and §4.3.2: at least twice a day; clamped to a minute and a day; six hours after an error. */
export const RENEWAL: RenewalPolicy = {
  poll: { least: MINUTE, most: DAY, every: 6 * HOUR },
  warn: [14 * DAY, 7 * DAY, 3 * DAY, DAY],
};

/** Below this lifetime half of it is left at the renewal, and else a third: Let's Encrypt's advice. */
const SHORT = 10 * DAY;
/** The spread of what was obtained at once: a day, and for short lifetimes this part of them. */
const SPREAD_PART = 30;
/** What a CA would have renewed as soon as it was obtained is kept for this part of its lifetime, or an hour: no loop. */
const KEPT_PART = 10;

/** The part of a window that is chosen from: an order takes its time, and is to be done within it. */
const WITHIN = 0.95;

/** A CA is asked at least this often in a certificate's life. */
const POLLS_A_LIFE = 20;

type Lifetime = Pick<IssuedLeaf, "notBefore" | "notAfter">;

export interface Plan {
  renewAt: number;
  schedule: RenewalState;
}

/** What the CA had to say, or why it said nothing. */
export type Polled =
  | { kind: "info"; window: RenewalWindow; explanationUrl?: string; retryAt?: number }
  /** It suggests nothing. */
  | { kind: "unsupported" }
  /** `lasting`: asked again soon, it would say the same. */
  | { kind: "failed"; lasting: boolean; retryAt?: number };

export interface PollContext {
  name: string;
  now: number;
  /** 0 to 1. */
  random: number;
}

/** Half of its lifetime is left at its renewal, and not a third. */
export function isShortLived({ notBefore, notAfter }: Lifetime): boolean {
  return notAfter - notBefore < SHORT;
}

/** When a leaf is renewed if the CA suggests nothing: spread by its name, so that an import is no peak when it is due. */
export function renewAtOf(leaf: Lifetime, name: string, { renewBefore }: RenewalPolicy): number {
  const life = leaf.notAfter - leaf.notBefore;
  const part = isShortLived(leaf) ? life / 2 : life / 3;
  // More than half of the lifetime would be renewed again and again.
  const left = renewBefore === undefined ? part : Math.min(renewBefore, life / 2);
  return Math.round(leaf.notAfter - left - shareOf(name) * Math.min(DAY, life / SPREAD_PART));
}

/** The plan of a leaf that has just come. The first question to the CA is spread, too. */
export function firstPlan(leaf: Lifetime, name: string, now: number, policy: RenewalPolicy): Plan {
  const pollAt = Math.round(now + shareOf(`poll ${name}`) * intervalOf(leaf, policy));
  return { renewAt: renewAtOf(leaf, name, policy), schedule: { pollAt } };
}

/** The plan after the CA was asked. `isEarly`: the CA wants it replaced long before it would be renewed. */
export function afterPoll(
  leaf: IssuedLeaf,
  schedule: RenewalState,
  polled: Polled,
  context: PollContext,
  policy: RenewalPolicy,
): Plan & { isEarly: boolean } {
  const { failures: _, ...kept } = schedule;
  if (polled.kind !== "info") {
    const failed = polled.kind === "failed" ? { failures: (schedule.failures ?? 0) + 1 } : {};
    const pollAt = pollAfterNothing(leaf, schedule, polled, context, policy);
    const renewAt = polled.kind === "failed" ? outOfReach(leaf, context.now, policy) : leaf.renewAt;
    return { renewAt, schedule: { ...kept, ...failed, pollAt }, isEarly: false };
  }
  const { window, explanationUrl } = polled;
  const { explanationUrl: __, ...rest } = kept;
  const isEarly = window.start <= context.now + DAY && isMovedForward(window, schedule.window, leaf);
  return {
    renewAt: instantIn(window, leaf, schedule, { ...context, isEarly }, policy),
    schedule: {
      ...rest,
      window,
      ...(explanationUrl === undefined ? {} : { explanationUrl }),
      pollAt: pollAfterInfo(leaf, polled.retryAt, context, policy),
    },
    isEarly,
  };
}

/** Chosen once, and kept while the window stands (RFC 9773 §4.2). */
function instantIn(
  window: RenewalWindow,
  leaf: IssuedLeaf,
  schedule: RenewalState,
  { name, now, random, isEarly }: PollContext & { isEarly: boolean },
  policy: RenewalPolicy,
): number {
  if (schedule.window && isSame(window, schedule.window)) return leaf.renewAt;
  const chosen = Math.round(window.start + random * WITHIN * (window.end - window.start));
  // Whoever has a rule of his own wants to hear from the CA only of what cannot wait.
  if (policy.renewBefore !== undefined && !isEarly)
    // What was due, and could not be ordered yet, is not put off.
    return leaf.renewAt <= now ? leaf.renewAt : renewAtOf(leaf, name, policy);
  const last = leaf.notAfter - (leaf.notAfter - leaf.notBefore) / 10;
  // A CA that would have had it renewed before it was there would have the next one, too.
  const first = schedule.window || chosen > now ? now : keptUntil(leaf);
  return Math.round(Math.max(now, first, Math.min(chosen, last)));
}

function keptUntil({ notBefore, notAfter, issuedAt = notBefore }: IssuedLeaf): number {
  return issuedAt + Math.min(HOUR, (notAfter - notBefore) / KEPT_PART);
}

/** What was chosen stands, but with a sixth of the lifetime left nobody waits for it while the CA cannot be asked. */
function outOfReach(leaf: IssuedLeaf, now: number, { renewBefore }: RenewalPolicy): number {
  const last = leaf.notAfter - (leaf.notAfter - leaf.notBefore) / 6;
  return renewBefore === undefined && now >= last ? Math.min(leaf.renewAt, now) : leaf.renewAt;
}

/** Earlier than it was, or in the first half of the lifetime, when no CA would have it renewed as a rule. */
function isMovedForward(window: RenewalWindow, before: RenewalWindow | undefined, leaf: IssuedLeaf): boolean {
  const life = leaf.notAfter - leaf.notBefore;
  if (before) return window.end < before.end - life / POLLS_A_LIFE;
  return window.end < leaf.notBefore + (life * 2) / 5;
}

function isSame(a: RenewalWindow, b: RenewalWindow): boolean {
  return a.start === b.start && a.end === b.end;
}

/** Retry-After is the least wait and the most (RFC 9773 §4.3.1); without it, what was asked at once drifts apart. */
function pollAfterInfo(
  leaf: IssuedLeaf,
  retryAt: number | undefined,
  { now, random }: PollContext,
  policy: RenewalPolicy,
): number {
  const { least, most } = policy.poll;
  if (retryAt === undefined) return Math.round(now + intervalOf(leaf, policy) * (1 - 0.2 * random));
  return Math.round(now + Math.min(Math.max(retryAt - now, least), most));
}

function pollAfterNothing(
  leaf: IssuedLeaf,
  { failures = 0 }: RenewalState,
  polled: Exclude<Polled, { kind: "info" }>,
  { now, random }: PollContext,
  policy: RenewalPolicy,
): number {
  const { least, most } = policy.poll;
  if (polled.kind === "unsupported")
    return Math.round(now + Math.min(most, (leaf.notAfter - leaf.notBefore) / POLLS_A_LIFE));
  const interval = intervalOf(leaf, policy);
  const wait = polled.lasting ? interval : Math.min(least * 2 ** failures, interval);
  const told = Math.min((polled.retryAt ?? now) - now, most);
  // What failed together does not come back together, though all were told the same moment.
  return Math.round(now + Math.max(wait, told) * (1 + 0.2 * random));
}

function intervalOf({ notBefore, notAfter }: Lifetime, { poll }: RenewalPolicy): number {
  return Math.max(1, Math.min(poll.every, (notAfter - notBefore) / POLLS_A_LIFE));
}

/** How long before the end the warning is that is due now, and was not given; undefined for none. */
export function dueWarning(
  leaf: IssuedLeaf,
  { warned }: RenewalState,
  now: number,
  policy: RenewalPolicy,
): number | undefined {
  // It is not due for renewal itself.
  if (leaf.renewAt > now) return undefined;
  const due = Math.min(...stepsOf(leaf, policy).filter((step) => warningAt(leaf, step) <= now));
  return Number.isFinite(due) && due < (warned ?? Number.POSITIVE_INFINITY) ? due : undefined;
}

/** When the next one is due, milliseconds since the epoch. */
export function nextWarningAt(leaf: IssuedLeaf, now: number, policy: RenewalPolicy): number {
  const ahead = stepsOf(leaf, policy).map((step) => warningAt(leaf, step));
  return Math.min(...ahead.filter((at) => at > now));
}

/** On the hour, so that those of one import are one mail: before the step, and after the end. */
function warningAt({ notBefore, notAfter }: Lifetime, step: number): number {
  const at = notAfter - step;
  if (notAfter - notBefore < SHORT) return at;
  return (step === 0 ? Math.ceil(at / HOUR) : Math.floor(at / HOUR)) * HOUR;
}

/** Those that are as long as what is left at the renewal would come with it; the end is one for all. */
function stepsOf({ notBefore, notAfter }: Lifetime, { warn, renewBefore }: RenewalPolicy): number[] {
  const left = Math.min((notAfter - notBefore) / 3, renewBefore ?? Number.POSITIVE_INFINITY);
  const steps = warn.filter((step) => step < left);
  return [...(steps.length > 0 ? steps : [(left * 3) / 4, (left * 3) / 8]), 0];
}

/** The same for the same name, 0 to 1, and spread evenly over all names: FNV-1a, mixed as in MurmurHash3. */
export function shareOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
