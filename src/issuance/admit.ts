import type { CertificateRecord } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { DONE, type Handler, type Outcome } from "../queue/consumer.ts";
import type { CertificateJob } from "../queue/names.ts";
import { fail } from "./failure.ts";
import type { IssuanceDeps } from "./ports.ts";

/** Orders in flight at once, over all processes: enough to fill the CA's latency, few enough to use a token soon. */
const ORDERS_IN_FLIGHT = 200;
const HOLD_BACK = 100;
const ONE_AT_A_TIME = 500;

/**
 * Decides when a certificate may be ordered. One runs at a time over all processes, so what it finds in the
 * account's bucket is still there when it spends it. A limit of the account holds the queue; one of a single name
 * holds only that certificate.
 */
export function admitHandler(deps: IssuanceDeps): Handler<CertificateJob> {
  return async (job, { priority }) => {
    const { account, certificates, producer, clock } = deps;
    // All at once: admission is one at a time, and must not be slow.
    const [record, stopped, orders] = await Promise.all([
      certificates.get(job.id),
      deps.stops.reason(account.name),
      producer.orders(account.name, job.id),
    ]);
    // Asked for by the order before it, which has not handed over yet.
    if (record && job.generation > record.generation)
      return { kind: "later", at: clock.now() + ONE_AT_A_TIME };
    if (!isWanted(record, job)) return DONE;
    if (stopped) return await fail(deps, record, stopped);
    // An order of an earlier generation ends at its next step; this one begins after it.
    if (orders.inFlight) return { kind: "later", at: clock.now() + ONE_AT_A_TIME };
    if (orders.total >= ORDERS_IN_FLIGHT) return { kind: "hold", ms: HOLD_BACK };
    // An order that is there already, as after a crash, has been paid for.
    const refused = record.orderUrl === undefined ? await spend(deps, record) : undefined;
    if (refused) return refused;
    // It waits for nothing any more. The order's turn takes `waiting` for a failure of its own generation.
    if (record.status === "waiting")
      await certificates.transition(record.id, record.generation, { status: "queued" }, clock.now());
    await producer.order(account.name, job, priority);
    return DONE;
  };
}

/** Work of a generation that was overtaken, or of a certificate that somebody has paused or removed, is dropped. */
export function isWanted(
  record: CertificateRecord | undefined,
  job: CertificateJob,
): record is CertificateRecord {
  if (!record || record.generation !== job.generation) return false;
  return record.status !== "paused" && record.status !== "removed";
}

async function spend(
  deps: IssuanceDeps,
  record: CertificateRecord,
): Promise<Outcome<CertificateJob> | undefined> {
  const { account, clock } = deps;
  const room = await account.ledger.canValidate(holderOf(record), record.spec.names);
  if (!room.ok) {
    const until = clock.now() + room.wait;
    const detail = `${room.name} has failed as often as ${account.name} allows in an hour; it is asked again after ${rfc3339(until)}.`;
    await waitForLimit(deps, record, until, detail);
    return { kind: "later", at: until };
  }
  const token = await account.ledger.takeOrder();
  if (token.ok) return undefined;
  const until = clock.now() + token.wait;
  await waitForLimit(
    deps,
    record,
    until,
    `${account.name} allows no more new orders until ${rfc3339(until)}.`,
  );
  return { kind: "hold", ms: token.wait };
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
