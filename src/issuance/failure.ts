import { type CertificateRecord, holderOf } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { type AppError, storedError } from "../core/errors.ts";
import { exhaustedPatience } from "../limits/patience.ts";
import { DONE } from "../queue/consumer.ts";
import { queueAction } from "../queue/mapping.ts";
import type { Transition } from "../store/certificates.ts";
import { settle } from "../store/settlement.ts";
import type { IssuanceDeps } from "./ports.ts";

export type Settled = { kind: "done" } | { kind: "later"; at: number };

/**
 * Settles what a failed step means for its certificate: the same step again, a new order later, or a person.
 * What has settled is on disk before the index says so, as the index may be lost.
 */
export async function fail(
  deps: IssuanceDeps,
  record: CertificateRecord,
  error: AppError,
  transient = 0,
): Promise<Settled> {
  const now = deps.clock.now();
  const action = queueAction(error, {
    now,
    transient,
    attempts: record.attempts,
    retry: deps.retry,
    random: Math.random(),
  });
  switch (action.kind) {
    case "again":
      if (action.waiting) await showWaiting(deps, record, error, action.at);
      return { kind: "later", at: action.at };
    case "reorder":
      await reorderOrGiveUp(deps, record, error, action);
      return DONE;
    case "stopAccount":
      await deps.stops.stop(deps.account.name, error);
      await stop(deps, record, error, "person");
      return DONE;
    case "stop":
      await stop(deps, record, error, action.reason);
      return DONE;
  }
}

type Reorder = { at: number; reason: "retry" | "limit"; countsAsAttempt: boolean };

async function reorderOrGiveUp(
  deps: IssuanceDeps,
  record: CertificateRecord,
  error: AppError,
  action: Reorder,
): Promise<void> {
  const { ledger } = deps.account;
  const streak = action.countsAsAttempt ? await ledger.streak(record.spec.names) : undefined;
  const pausedAfter = ledger.limits.certificates.consecutiveFailures?.count ?? Number.POSITIVE_INFINITY;
  // Long before the CA would pause it.
  const failures = Math.min(deps.patience.failures, Math.ceil(pausedAfter / 2));
  const end = exhaustedPatience(streak, error, { ...deps.patience, failures }, deps.clock.now());
  if (end) await stop(deps, record, end, "person");
  else await reorder(deps, record, error, action);
}

async function showWaiting(
  deps: IssuanceDeps,
  record: CertificateRecord,
  error: AppError,
  until: number,
): Promise<void> {
  const change: Transition = {
    status: "waiting",
    reason: error.disposition === "unavailable" ? "node" : "ca",
    detail: error.message,
    until,
    error: storedError(error),
    ...(record.error?.detail === error.message ? {} : { event: { what: "waiting", detail: error.message } }),
  };
  const { ended } = await deps.certificates.transition(
    record.id,
    record.generation,
    change,
    deps.clock.now(),
  );
  for (const importId of ended) await deps.listener.importEnded(importId);
}

/** Ends this order, and asks for the next one at the moment that the table or the CA names. */
async function reorder(
  deps: IssuanceDeps,
  record: CertificateRecord,
  error: AppError,
  action: Reorder,
): Promise<void> {
  const change: Transition = {
    status: "waiting",
    reason: action.reason,
    until: action.at,
    attempts: record.attempts + (action.countsAsAttempt ? 1 : 0),
    detail: error.message,
    error: storedError(error),
    event: {
      what: action.countsAsAttempt ? "failed" : "waiting",
      detail: `${error.message} Next try at ${rfc3339(action.at)}.`,
    },
  };
  if (!(await settle(deps, record, change))) return await deps.account.ledger.release(holderOf(record));
  if (action.countsAsAttempt) logFailure(deps, record, error);
  await askAgain(deps, record, action.at);
}

/**
 * Hands over to the next generation. The job goes first: a process that dies between the two comes back to the
 * present generation and does both again, while a generation without a job would wait for ever.
 */
export async function askAgain(deps: IssuanceDeps, record: CertificateRecord, at: number): Promise<void> {
  const { id, spec, generation } = record;
  await deps.account.ledger.release(holderOf(record));
  await deps.files.discardPending(id);
  const admission = {
    id,
    generation: generation + 1,
    account: deps.account.name,
    priority: spec.priority,
    at,
    // What can be renewed for nothing need not stand in line; admission knows for sure.
    renewal: record.leaf !== undefined,
  };
  await deps.producer.enqueue([admission], deps.clock.now());
  await deps.certificates.nextGeneration(id, generation);
}

async function stop(
  deps: IssuanceDeps,
  record: CertificateRecord,
  error: AppError,
  reason: "person" | "node",
): Promise<void> {
  const change: Transition = {
    status: "attention",
    reason,
    attempts: record.attempts + 1,
    detail: error.message,
    error: storedError(error),
    event: { what: "failed", detail: error.message },
  };
  await deps.account.ledger.release(holderOf(record));
  if (!(await settle(deps, record, change))) return;
  logFailure(deps, record, error);
  await deps.files.discardPending(record.id);
}

function logFailure(deps: IssuanceDeps, record: CertificateRecord, error: AppError): void {
  const name = record.spec.names[0];
  deps.tell(
    `Failed to issue certificate for ${name}, check external access on port 80 and that DNS has been configured. (${error.message})`,
  );
}
