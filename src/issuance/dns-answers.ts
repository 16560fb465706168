import { createHash } from "node:crypto";
import { AppError, asAppError } from "../core/errors.ts";
import type { Outcome } from "../queue/consumer.ts";
import type { OrderJob } from "../queue/names.ts";
import { inGroups } from "./groups.ts";
import type { DnsAnswer, DnsPlace, Turn } from "./ports.ts";

/** Milliseconds from when a record was last needed until it is removed, whatever became of its order. */
const LEASE = 3_600_000;
/** Milliseconds after which a turn that is still setting records lets others have its place. */
const LONG = 10_000;
/** Milliseconds from setting the records to the first look. */
const FIRST_LOOK = 1_000;
/** Records set before it is looked how long that takes. */
const GROUP = 8;
/** Sentences of servers that stand in an error. */
const TOLD = 4;

/** One challenge to be answered. */
export interface Answerable {
  /** The identifier: a wildcard's without `*.`. */
  name: string;
  keyAuthorization: string;
}

/** RFC 8555 §8.4. */
function txtValue(keyAuthorization: string): string {
  return createHash("sha256").update(keyAuthorization).digest("base64url");
}

/**
 * Sets the TXT of each challenge that is not set yet; undefined once all were seen by `lookForRecords`. Throws what
 * stands against it, and then nothing is left in DNS.
 */
export async function setRecords(
  turn: Turn,
  answerables: readonly Answerable[],
): Promise<Outcome<OrderJob> | undefined> {
  const { dns, clock } = turn.deps;
  const before = turn.job.dns?.records ?? [];
  const set = new Set(before.map(({ value }) => value));
  const wanted = answerables
    .map(({ name, keyAuthorization }) => ({ domain: name, value: txtValue(keyAuthorization) }))
    .filter(({ value }) => !set.has(value));
  if (wanted.length === 0 && turn.job.dns?.since !== undefined) return undefined;
  const began = clock.now();
  const places = await placesOf(turn, [...new Set(wanted.map(({ domain }) => domain))]);
  const answers = wanted.flatMap(({ domain, value }): DnsAnswer[] => {
    const place = places.get(domain);
    return place ? [{ ...place, value }] : [];
  });
  const records = [...before];
  for (let next = answers.splice(0, GROUP); next.length > 0; next = answers.splice(0, GROUP)) {
    try {
      await dns.present(next, clock.now() + LEASE);
    } catch (error) {
      // Where the same is tried again soon, nothing is taken back in between.
      if (asAppError(error).disposition !== "unavailable") await dns.done([...records, ...next]);
      turn.job = withoutDns(turn.job);
      throw error;
    }
    records.push(...next);
    turn.job = { ...turn.job, dns: { records } };
    if (answers.length > 0 && (clock.now() - began > LONG || turn.context.signal.aborted))
      return { kind: "later", at: clock.now(), data: turn.job };
  }
  turn.job = { ...turn.job, dns: { records, since: clock.now() } };
  await show(turn, `${records.length} TXT ${records.length === 1 ? "record is" : "records are"} set.`);
  return { kind: "later", at: clock.now() + FIRST_LOOK, data: turn.job };
}

/**
 * One look whether every authoritative server has what was set: undefined when all have, or when it has to be set
 * (again). Throws `dns_not_propagated` (retry) when that has taken too long.
 */
export async function lookForRecords(turn: Turn): Promise<Outcome<OrderJob> | undefined> {
  const { job, deps } = turn;
  const { dns, clock } = deps;
  if (job.dns?.since === undefined) return undefined;
  const { since, records } = job.dns;
  const now = clock.now();
  if (!(await dns.prolong(records, now + LEASE))) {
    // Removed meanwhile, as the order had to wait for long: it is set once more.
    turn.job = withoutDns(job);
    return undefined;
  }
  const missing = await dns.missing(records);
  if (missing.length === 0) return undefined;
  if (now - since < dns.propagation.timeout)
    return { kind: "later", at: now + dns.propagation.every, data: job };
  await dropRecords(turn);
  const more = missing.length > TOLD ? ` And ${missing.length - TOLD} more.` : "";
  throw new AppError(
    `Not every name server had the TXT records within ${Math.round(dns.propagation.timeout / 1_000)} s, so the CA was not asked. ${missing.slice(0, TOLD).join(" ")}${more}`,
    { code: "dns_not_propagated", disposition: "retry" },
  );
}

/** What this order had set is needed no more. */
export async function dropRecords(turn: Turn): Promise<void> {
  const { dns } = turn.job;
  if (dns === undefined) return;
  await turn.deps.dns.done(dns.records);
  turn.job = withoutDns(turn.job);
}

function withoutDns({ dns: _, ...job }: OrderJob): OrderJob {
  return job;
}

async function placesOf({ deps }: Turn, domains: readonly string[]): Promise<Map<string, DnsPlace>> {
  return new Map(await inGroups(domains, async (domain) => [domain, await deps.dns.place(domain)] as const));
}

async function show({ deps, record }: Turn, detail: string): Promise<void> {
  const change = { status: "validating", detail, event: { what: "set", detail } } as const;
  await deps.certificates.transition(record.id, record.generation, change, deps.clock.now());
}
