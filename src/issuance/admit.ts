import { accountOf, type CertificateRecord, holderOf, isIssued, isObtained } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { OUT_OF_SERVICE } from "../limits/breaker.ts";
import type { Admission } from "../limits/ledger.ts";
import { DONE, type Handler, type Outcome } from "../queue/consumer.ts";
import { type CertificateJob, certificatePriority, type OrderJob } from "../queue/names.ts";
import { fail } from "./failure.ts";
import { pausedError, tooManyFailures, waitingFor } from "./limit-words.ts";
import type { IssuanceDeps } from "./ports.ts";
import { exemptionNow } from "./replaces.ts";
import { spilled } from "./spill.ts";

/** Orders in flight at once, over all processes: enough to fill the CA's latency, few enough to use a token soon. */
const ORDERS_IN_FLIGHT = 200;
/** Milliseconds: an order that sleeps longer than that is not in flight, but waits for a moment that the CA has named. */
const IN_FLIGHT = 300_000;
const HOLD_BACK = 100;
const ONE_AT_A_TIME = 500;
/** Milliseconds between two looks at a breaker that is open: it may be closed before the moment that it names. */
const BREAKER_LOOK = 5_000;
/** Milliseconds that one sleeps in a waiting room which nobody calls: longer than any bucket takes to fill. */
const ASLEEP = 30 * 86_400_000;

/**
 * Decides when a certificate may be ordered. One runs at a time over all processes, so that the order of priorities
 * is kept when tokens are few. A limit of the account holds the queue; one of a domain, a set or a name holds only the
 * certificates that it is about.
 *
 * Renewals come through a queue of their own (`line` "renew"), which is never held.
 */
export function admitHandler(deps: IssuanceDeps, line: "admit" | "renew" = "admit"): Handler<CertificateJob> {
  return async (job, { priority }) => {
    const { account, certificates, producer, clock } = deps;
    const [record, orders] = await Promise.all([
      certificates.get(job.id),
      producer.orders(account.name, job.id, clock.now() + IN_FLIGHT),
    ]);
    if (record && record.generation < job.generation)
      return { kind: "later", at: clock.now() + ONE_AT_A_TIME };
    if (!isWanted(record, job) || isDone(record)) {
      await account.ledger.release(holderOf(job));
      return DONE;
    }
    if (!isHere(deps, record)) {
      await account.ledger.release(holderOf(job));
      // Who handed it over to another CA may have died before it was queued there.
      if (record.account !== undefined)
        await producer.enqueue(
          [{ ...job, account: record.account, priority: record.spec.priority }],
          clock.now(),
        );
      return DONE;
    }
    // An order of an earlier generation ends at its next step; this one begins after it.
    if (orders.inFlight) return { kind: "later", at: clock.now() + ONE_AT_A_TIME };
    if (orders.total >= ORDERS_IN_FLIGHT) return pause(deps, line, HOLD_BACK);
    const admission = await askLedger(deps, record, job);
    if (admission.kind !== "ok") return await refused(deps, { job, record, line }, admission);
    // It waits for nothing any more. The order's turn takes `waiting` for a failure of its own generation.
    if (admission.waiting)
      await certificates.transition(job.id, job.generation, { status: "queued" }, clock.now());
    // As it was asked for with: an urgent renewal goes before what its certificate is worth otherwise.
    await producer.order(account.name, job, certificatePriority(priority));
    return DONE;
  };
}

/** A job that was added twice, as after a crash, comes too late. */
export function isDone(record: CertificateRecord): boolean {
  return record.status === "attention" || isObtained(record) || isIssued(record);
}

/** Asks the ledger for all that an order of this certificate takes. */
export async function askLedger(
  deps: IssuanceDeps,
  record: CertificateRecord,
  asked: Pick<OrderJob, "plain"> = {},
): Promise<Admission> {
  const { id, generation, spec } = record;
  return await deps.account.ledger.admit({
    id,
    generation,
    names: spec.names,
    priority: spec.priority,
    holder: holderOf(record),
    exemption: exemptionNow(deps, record, asked),
  });
}

interface Asking {
  job: CertificateJob;
  record: CertificateRecord;
  line: "admit" | "renew";
}

async function refused(
  deps: IssuanceDeps,
  { job, record, line }: Asking,
  refusal: Exclude<Admission, { kind: "ok" }>,
): Promise<Outcome<CertificateJob>> {
  const { account, clock, stops } = deps;
  const now = clock.now();
  switch (refusal.kind) {
    case "drop":
      await account.ledger.release(holderOf(job));
      return DONE;
    case "early":
      return { kind: "later", at: now + ONE_AT_A_TIME };
    case "stopped": {
      const reason = await stops.reason(account.name);
      // Lifted in between: the next look will tell.
      if (!reason) return { kind: "later", at: now };
      if (await spilled(deps, record, reason.message)) return DONE;
      return await fail(deps, record, reason);
    }
    case "paused": {
      const why = await account.ledger.pauseOf(refusal.name);
      return why ? await fail(deps, record, pausedError(refusal.name, why)) : { kind: "later", at: now };
    }
    case "broken": {
      const broken = await account.breaker.state();
      const outOfService = broken?.scope === "ca" && now - broken.since >= OUT_OF_SERVICE;
      if (outOfService && (await spilled(deps, record, broken.detail))) return DONE;
      return pause(deps, line, Math.min(refusal.wait, BREAKER_LOOK));
    }
    case "orders":
      if (line === "renew") {
        // The exemption has lapsed meanwhile: it stands in line like any other.
        await deps.producer.admit(
          [{ ...job, renewal: false, account: account.name, priority: record.spec.priority }],
          now,
        );
        return DONE;
      }
      await waitForLimit(deps, record, now + refusal.wait, waitingFor(refusal, account.name, now));
      return { kind: "hold", ms: refusal.wait };
    case "name": {
      const until = now + refusal.wait;
      await waitForLimit(deps, record, until, tooManyFailures(refusal.name, account.name, until));
      return { kind: "later", at: until };
    }
    case "room": {
      const { after } = deps.spill;
      const sentence = waitingFor(refusal, account.name, now);
      if (after !== undefined && refusal.wait > after && (await spilled(deps, record, sentence))) return DONE;
      await waitForLimit(deps, record, now + refusal.wait, sentence);
      // Asleep until the room calls it; one that is called before it sleeps is called again.
      return { kind: "later", at: now + ASLEEP };
    }
  }
}

function pause({ clock }: IssuanceDeps, line: "admit" | "renew", ms: number): Outcome<CertificateJob> {
  return line === "admit" ? { kind: "hold", ms } : { kind: "later", at: clock.now() + ms };
}

/** Work of a generation that was overtaken, or of a certificate that somebody has paused or removed, is dropped. */
export function isWanted(
  record: CertificateRecord | undefined,
  job: CertificateJob,
): record is CertificateRecord {
  if (!record || record.generation !== job.generation) return false;
  return record.status !== "paused" && record.status !== "removed";
}

/** Another CA may have taken it over. */
function isHere({ account }: IssuanceDeps, record: CertificateRecord): boolean {
  return accountOf(record, account.name) === account.name;
}

async function waitForLimit(
  deps: IssuanceDeps,
  record: CertificateRecord,
  until: number,
  detail: string,
): Promise<void> {
  const change = { status: "waiting", reason: "limit", until, detail } as const;
  const event = record.detail === detail ? {} : { event: { what: "waiting", detail } };
  await deps.certificates.transition(record.id, record.generation, { ...change, ...event }, deps.clock.now());
}

/** Back to admission, with nothing in hand: what it needs is not there any more. */
export async function backToAdmission(
  deps: IssuanceDeps,
  record: CertificateRecord,
  job: CertificateJob,
  at?: number,
): Promise<void> {
  const { account, producer, clock } = deps;
  await account.ledger.release(holderOf(record));
  await account.breaker.ended(holderOf(record));
  const { id, generation, renewal, plain } = job;
  const about = { id, generation, account: account.name, priority: record.spec.priority };
  const admission = { ...about, ...(plain ? { plain } : {}) };
  await producer.admit(
    [{ ...admission, ...(renewal ? { renewal } : {}), ...(at === undefined ? {} : { at }) }],
    clock.now(),
  );
  if (at !== undefined)
    await waitForLimit(deps, record, at, `${account.name} lets it be ordered after ${rfc3339(at)}.`);
}
