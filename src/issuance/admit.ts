import type { CertificateRecord } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import type { Admission } from "../limits/ledger.ts";
import { DONE, type Handler, type Outcome } from "../queue/consumer.ts";
import type { CertificateJob } from "../queue/names.ts";
import { fail } from "./failure.ts";
import type { IssuanceDeps } from "./ports.ts";

/** Orders in flight at once, over all processes: enough to fill the CA's latency, few enough to use a token soon. */
const ORDERS_IN_FLIGHT = 200;
const HOLD_BACK = 100;
const ONE_AT_A_TIME = 500;

/**
 * Decides when a certificate may be ordered. One runs at a time over all processes, so that the order of priorities
 * is kept when tokens are few. A limit of the account holds the queue; one of a single name holds only that
 * certificate.
 */
export function admitHandler(deps: IssuanceDeps): Handler<CertificateJob> {
  return async (job, { priority }) => {
    const { account, certificates, producer, clock } = deps;
    const [admission, orders] = await Promise.all([
      account.ledger.admit(job.id, job.generation, holderOf(job)),
      producer.orders(account.name, job.id),
    ]);
    if (admission.kind === "drop") return DONE;
    if (admission.kind === "early") return { kind: "later", at: clock.now() + ONE_AT_A_TIME };
    if (admission.kind !== "ok") return await refused(deps, job, admission);
    if (!orders.inFlight && orders.total < ORDERS_IN_FLIGHT) {
      // It waits for nothing any more. The order's turn takes `waiting` for a failure of its own generation.
      if (admission.waiting)
        await certificates.transition(job.id, job.generation, { status: "queued" }, clock.now());
      await producer.order(account.name, job, priority);
      return DONE;
    }
    if (admission.spent) await account.ledger.refundOrder();
    // An order of an earlier generation ends at its next step; this one begins after it.
    if (orders.inFlight) return { kind: "later", at: clock.now() + ONE_AT_A_TIME };
    return { kind: "hold", ms: HOLD_BACK };
  };
}

type Refusal = Exclude<Admission, { kind: "ok" | "drop" | "early" }>;

async function refused(
  deps: IssuanceDeps,
  job: CertificateJob,
  refusal: Refusal,
): Promise<Outcome<CertificateJob>> {
  const { account, certificates, clock, stops } = deps;
  const record = await certificates.get(job.id);
  if (!isWanted(record, job)) return DONE;
  if (refusal.kind === "stopped") {
    const reason = await stops.reason(account.name);
    // Lifted in between: the next look will tell.
    return reason ? await fail(deps, record, reason) : { kind: "later", at: clock.now() };
  }
  const until = clock.now() + refusal.wait;
  if (refusal.kind === "orders") {
    await waitForLimit(
      deps,
      record,
      until,
      `${account.name} allows no more new orders until ${rfc3339(until)}.`,
    );
    return { kind: "hold", ms: refusal.wait };
  }
  await waitForLimit(deps, record, until, tooManyFailures(refusal.name, account.name, until));
  return { kind: "later", at: until };
}

/** Work of a generation that was overtaken, or of a certificate that somebody has paused or removed, is dropped. */
export function isWanted(
  record: CertificateRecord | undefined,
  job: CertificateJob,
): record is CertificateRecord {
  if (!record || record.generation !== job.generation) return false;
  return record.status !== "paused" && record.status !== "removed";
}

/** Why a name waits that has failed too often, in a sentence. */
export function tooManyFailures(name: string, ca: string, until: number): string {
  return `${name} has failed as often as ${ca} allows; it is asked again after ${rfc3339(until)}.`;
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

/** Who holds a place in the window of validations: one order of one certificate. */
export function holderOf(record: Pick<CertificateRecord, "id" | "generation">): string {
  return `${record.id}#${record.generation}`;
}
