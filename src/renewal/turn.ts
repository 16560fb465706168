import { type CertificateRecord, firstNameOf, isRenewable } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import type { RenewalNote } from "../store/renewals.ts";
import { afterPoll, dueWarning, nextWarningAt, type Plan } from "./policy.ts";
import { type Poll, pollAll } from "./poll.ts";
import type { Obtained, RenewalDeps } from "./ports.ts";
import { expiryWarning } from "./warn.ts";

/** Certificates looked at in one go. */
const SLICE = 200;
/** Certificates of which people are told at once. */
const MOST_IN_MAIL = 10_000;
/** Milliseconds for which nobody else looks at what was taken: longer than a slice takes where a CA is slow. */
const CLAIMED = 600_000;
/** Milliseconds after which one that was asked for, or cannot be now, is looked at again at the latest. */
const AGAIN = 86_400_000;

export interface Turn {
  /** Certificates of which the CA was asked. */
  polled: number;
  /** Renewals that were queued. */
  queued: number;
}

/**
 * Looks at whatever is due: asks the CA what it suggests, queues what is to be renewed, and warns of what comes near
 * its end. One small read of one sorted set finds them, however many certificates there are.
 */
export async function renewalTurn(deps: RenewalDeps, signal: AbortSignal): Promise<Turn> {
  const turn: Turn = { polled: 0, queued: 0 };
  // One mail a person for all of the turn.
  const ending: Obtained[] = [];
  const gathering: RenewalDeps = {
    ...deps,
    warn: async (records) => {
      ending.push(...records);
    },
  };
  while (!signal.aborted) {
    const now = deps.clock.now();
    const { records, more } = await deps.renewals.claim(now, SLICE, now + CLAIMED);
    const { polled, queued } = await lookAtRenewals(gathering, records, isPollDue(now));
    turn.polled += polled;
    turn.queued += queued;
    if (ending.length >= MOST_IN_MAIL || !more) await tell(deps, ending.splice(0));
    if (!more) break;
  }
  await tell(deps, ending);
  return turn;
}

async function tell(deps: RenewalDeps, records: readonly Obtained[]): Promise<void> {
  const now = deps.clock.now();
  if (records.length > 0) await deps.warn(records, (some) => expiryWarning(some, now));
}

function hasLeaf(record: CertificateRecord): record is Obtained {
  return record.leaf !== undefined;
}

function isPollDue(now: number): (record: CertificateRecord) => boolean {
  return ({ schedule }) => (schedule?.pollAt ?? 0) <= now;
}

/** The same for these certificates, whatever is due of them. `asks`: of which the CA is asked. */
export async function lookAtRenewals(
  deps: RenewalDeps,
  records: readonly CertificateRecord[],
  asks: (record: CertificateRecord) => boolean,
): Promise<Turn> {
  const known = records.filter(hasLeaf);
  const polls = await pollAll(deps, known.filter(asks));
  const planned = known.map((record) => ({ record, ...planOf(deps, record, polls.get(record.id)) }));
  const changed = planned.filter(({ record, renewAt }) => renewAt !== record.leaf.renewAt);
  // On disk first: what was chosen is kept, though Redis may be lost.
  await deps.keep(
    changed.map(({ record, ...plan }) => ({ id: record.id, serial: record.leaf.serial, ...plan })),
  );
  const now = deps.clock.now();
  const early = planned.filter(({ isEarly }) => isEarly).map(({ record }) => record);
  const urgent = new Set(early.map(({ id }) => id));
  await deps.noteEarly(
    // Of what was revoked here it is known why, and what is paused is nobody's haste.
    early.filter(({ leaf, status }) => leaf.revokedAt === undefined && status !== "paused"),
    known.filter(({ id }) => polls.has(id)),
  );
  const queued = await enqueueDue(deps, planned, urgent);
  const warned = await warn(deps, planned);
  await deps.renewals.note(
    planned.map(({ record, ...plan }) => noteOf(deps, record, plan, warned.get(record.id), now)),
    now,
  );
  return { polled: polls.size, queued };
}

function planOf(
  deps: RenewalDeps,
  { id, leaf, schedule = {} }: Obtained,
  poll: Poll | undefined,
): Plan & { isEarly: boolean } {
  if (!poll) return { renewAt: leaf.renewAt, schedule, isEarly: false };
  const context = { name: firstNameOf(id), now: deps.clock.now(), random: deps.random() };
  return afterPoll(leaf, schedule, poll, context, deps.policy);
}

/**
 * One that has failed follows the table of retries, and one that somebody has paused stays so. Read anew, as the CA may
 * have taken its time: what has been asked for meanwhile is not asked for twice.
 */
async function enqueueDue(
  deps: RenewalDeps,
  planned: readonly (Plan & { record: Obtained })[],
  urgent: ReadonlySet<string>,
): Promise<number> {
  const now = deps.clock.now();
  const serials = new Map(
    planned.filter(({ renewAt }) => renewAt <= now).map(({ record }) => [record.id, record.leaf.serial]),
  );
  if (serials.size === 0) return 0;
  const due = (await deps.certificates.present([...serials.keys()])).filter(
    (record) => isRenewable(record) && record.leaf?.serial === serials.get(record.id),
  );
  const [first, rest] = [due.filter(({ id }) => urgent.has(id)), due.filter(({ id }) => !urgent.has(id))];
  if (first.length > 0) await deps.enqueue(first, { urgent: true });
  if (rest.length > 0) await deps.enqueue(rest, { urgent: false });
  return due.length;
}

/** How long before its end each of those is that a person is warned of now. */
async function warn(
  deps: RenewalDeps,
  planned: readonly (Plan & { record: Obtained })[],
): Promise<Map<string, number>> {
  const { clock, policy } = deps;
  const now = clock.now();
  const steps = new Map<string, number>();
  for (const { record, renewAt, schedule } of planned) {
    const step = dueWarning({ ...record.leaf, renewAt }, schedule, now, policy);
    if (step !== undefined && record.status !== "removed") steps.set(record.id, step);
  }
  // As they stand now: their renewal may just have been queued.
  const records = (await deps.certificates.present([...steps.keys()])).filter(hasLeaf);
  if (records.length > 0) await deps.warn(records, (some) => expiryWarning(some, now));
  return steps;
}

function noteOf(
  { policy }: RenewalDeps,
  { id, leaf, schedule: before }: Obtained,
  { renewAt, schedule }: Plan,
  warned: number | undefined,
  now: number,
): RenewalNote {
  const { serial, notBefore, notAfter } = leaf;
  const again = now + Math.min(AGAIN, (notAfter - notBefore) / 20);
  const due = renewAt > now ? renewAt : Math.min(again, nextWarningAt(leaf, now, policy));
  const pollAt = schedule.pollAt ?? Number.POSITIVE_INFINITY;
  const why = schedule.explanationUrl === undefined ? "" : ` (${schedule.explanationUrl})`;
  const isNews =
    schedule.window !== undefined && JSON.stringify(schedule.window) !== JSON.stringify(before?.window);
  const { start = 0, end = 0 } = schedule.window ?? {};
  const detail = `at ${rfc3339(renewAt)}; the CA suggests ${rfc3339(start)} to ${rfc3339(end)}${why}`;
  return {
    id,
    serial,
    renewAt,
    schedule: { ...schedule, ...(warned === undefined ? {} : { warned }) },
    lookAt: Math.max(now + 1, Math.min(due, pollAt > now ? pollAt : again)),
    ...(isNews ? { event: { what: "renewal planned", detail } } : {}),
  };
}
