import { accountOf, type CertificateRecord } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { AppError, asAppError, type StoredError, storedError } from "../core/errors.ts";
import { DONE, type Handler, type JobContext, type Outcome } from "../queue/consumer.ts";
import { type CheckJob, certificatePriority } from "../queue/names.ts";
import type { Producer } from "../queue/producer.ts";
import type { Transition } from "../store/certificates.ts";
import { type SettlementDeps, settle } from "../store/settlement.ts";
import { nextCheck, type Schedule } from "./schedule.ts";
import type { Verdict } from "./verdict.ts";

export interface CheckDeps extends SettlementDeps {
  /** The CA account whose certificates are checked. */
  account: string;
  producer: Producer;
  /** "warn" orders all the same, "off" does not look. */
  mode: "require" | "warn" | "off";
  /** Throws an AppError of disposition `node` when nobody can answer on this port. */
  ready(port: number): Promise<void>;
  check(record: CertificateRecord): Promise<Verdict>;
  schedule?: Schedule;
}

/** Milliseconds until one whose earlier generation has not handed over yet is looked at again. */
const ONE_AT_A_TIME = 500;
/** Milliseconds after which what could not be looked at is looked at again. */
const AGAIN = 60_000;

/**
 * Looks whether a certificate's names lead here, and hands it over to admission when they do. One that has to wait for
 * its owner, or for this host, is looked at again on a schedule of its own: that costs the CA nothing.
 */
export function checkHandler(deps: CheckDeps): Handler<CheckJob> {
  return async (job, context) => {
    const { signal } = context;
    const { certificates, clock, mode } = deps;
    const record = await certificates.get(job.id);
    if (record && record.generation < job.generation)
      return { kind: "later", at: clock.now() + ONE_AT_A_TIME };
    if (!record || !isWanted(deps, record, job)) return DONE;
    const { admitted, ordered } = await deps.producer.standing(deps.account, job);
    // Handed over already, by a process that died right after.
    if (admitted) return DONE;
    // An order that is about to end, by coming back to here perhaps: what comes of it will be seen.
    if (ordered) return { kind: "later", at: clock.now() + ONE_AT_A_TIME };
    // An order that is there has been paid for.
    if (mode === "off" || record.orderUrl !== undefined) return await handOver(deps, record, job, context);
    if (record.status !== "waiting")
      await certificates.transition(job.id, job.generation, { status: "checking" }, clock.now());
    const verdict = await verdictOn(deps, record);
    if (signal.aborted) return { kind: "later", at: clock.now(), data: job };
    if (verdict instanceof AppError) return await unchecked(deps, record, job, verdict);
    if (verdict.kind === "ready") return await handOver(deps, record, job, context);
    if (mode === "warn") return await handOver(deps, record, job, context, verdict.detail);
    return await waitFor(deps, record, job, verdict);
  };
}

function isWanted(deps: CheckDeps, record: CertificateRecord, job: CheckJob): boolean {
  if (record.generation !== job.generation || accountOf(record, deps.account) !== deps.account) return false;
  return !["paused", "removed", "attention", "issued", "serving"].includes(record.status);
}

async function verdictOn(deps: CheckDeps, record: CertificateRecord): Promise<Verdict | AppError> {
  try {
    if (record.spec.challenge === "http-01") await deps.ready(record.spec.acmePort);
    return await deps.check(record);
  } catch (thrown) {
    const error = asAppError(thrown);
    if (error.disposition === "internal") throw thrown;
    return error;
  }
}

async function handOver(
  { certificates, producer, clock, account, mode }: CheckDeps,
  { id, generation }: CertificateRecord,
  { renewal, plain }: CheckJob,
  { priority }: Pick<JobContext<CheckJob>, "priority">,
  warning?: string,
): Promise<Outcome<CheckJob>> {
  const now = clock.now();
  const checkedAt = mode === "off" ? {} : { checkedAt: now };
  const event = warning === undefined ? {} : { event: { what: "warned", detail: warning } };
  const change = { status: "queued", ...checkedAt, ...event } as const;
  // Somebody may have paused it meanwhile.
  if (!(await certificates.transition(id, generation, change, now)).ok) return DONE;
  const marks = { ...(renewal ? { renewal } : {}), ...(plain ? { plain } : {}) };
  // As it was asked for: an urgent renewal is more than its certificate is worth otherwise.
  const admission = { id, generation, account, priority: certificatePriority(priority), ...marks };
  await producer.admit([admission], now);
  return DONE;
}

/** This host could not even look. */
async function unchecked(
  deps: CheckDeps,
  record: CertificateRecord,
  job: CheckJob,
  error: AppError,
): Promise<Outcome<CheckJob>> {
  if (error.disposition === "node") {
    const change = { status: "attention", reason: "node", detail: error.message } as const;
    const event = { what: "failed", detail: error.message };
    await settle(deps, record, { ...change, error: storedError(error), event });
    return DONE;
  }
  return { kind: "later", at: deps.clock.now() + AGAIN, data: job };
}

async function waitFor(
  deps: CheckDeps,
  record: CertificateRecord,
  job: CheckJob,
  verdict: Exclude<Verdict, { kind: "ready" }>,
): Promise<Outcome<CheckJob>> {
  const now = deps.clock.now();
  const { checks = 0, since = now } = job;
  const at = nextCheck({ firstFailedAt: since, checks: checks + 1, now, random: Math.random }, deps.schedule);
  const error = errorOf(verdict);
  if (verdict.kind === "blocked" || at === undefined) {
    const given =
      at === undefined ? `It has been so since ${rfc3339(since)}, and is not looked at any more. ` : "";
    const detail = `${given}${verdict.detail}`;
    const event = { what: "failed", detail };
    await settle(deps, record, { status: "attention", reason: "person", detail, error, event });
    return DONE;
  }
  const reason = verdict.kind === "customer" ? "customer" : "node";
  await show(deps, record, { status: "waiting", reason, until: at, detail: verdict.detail, error });
  return { kind: "later", at, data: { ...job, checks: checks + 1, since } };
}

/** Told and written down when it is news; a hundred looks that find the same are none. */
async function show(
  deps: CheckDeps,
  record: CertificateRecord,
  change: Transition & { detail: string },
): Promise<void> {
  const known =
    record.status === "waiting" && record.reason === change.reason && record.detail === change.detail;
  if (known) await deps.certificates.transition(record.id, record.generation, change, deps.clock.now());
  else await settle(deps, record, { ...change, event: { what: "waiting", detail: change.detail } });
}

function errorOf(verdict: Exclude<Verdict, { kind: "ready" }>): StoredError {
  const code = verdict.kind === "customer" ? "customer_record" : verdict.code;
  return {
    code,
    type: `urn:certherd:error:${code}`,
    detail: verdict.detail,
    ...(verdict.kind === "customer" ? { records: verdict.records.map((record) => ({ ...record })) } : {}),
  };
}
