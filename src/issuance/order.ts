import type { Order } from "../acme/session.ts";
import { type CertificateRecord, holderOf } from "../core/certificate.ts";
import { AppError, asAppError } from "../core/errors.ts";
import { DONE, type Handler, type Outcome } from "../queue/consumer.ts";
import type { OrderJob } from "../queue/names.ts";
import { askLedger, backToAdmission, isDone, isWanted } from "./admit.ts";
import { answerChallenges, canAnswer, NO_ROOM, orderFailure, validationsDone } from "./authorize.ts";
import { countFailure } from "./break.ts";
import { askAgain, fail } from "./failure.ts";
import { optionsOf, place } from "./place.ts";
import { pollAt } from "./polling.ts";
import type { IssuanceDeps, Turn } from "./ports.ts";
import { parkNames, refusedByCa, UNTOLD } from "./refused.ts";
import { exemptionNow } from "./replaces.ts";
import { finalize, handOver, save } from "./save.ts";

/**
 * One turn of an order: as many steps as can be done without waiting (RFC 8555 §7.4). To wait is to come back as a
 * delayed job, so that a slow CA holds no worker. Every turn begins with what the CA says of the order, so a job
 * that comes back after a crash goes on wherever that order stands.
 */
export function orderHandler(deps: IssuanceDeps): Handler<OrderJob> {
  return async (job, context) => {
    const record = await deps.certificates.get(job.id);
    const finishes = await isFinishing(deps, record, job);
    if (!finishes && (!isWanted(record, job) || isDone(record))) {
      await deps.account.ledger.release(holderOf(job));
      if (record?.status === "deploying") await handOver(deps, job.id);
      return DONE;
    }
    if (!record) return DONE;
    if (record.status === "waiting" && record.reason === "retry") {
      // Failed, and then the process died before it had asked for the next try.
      await askAgain(deps, record, record.until ?? deps.clock.now());
      return DONE;
    }
    let turn: Turn | undefined;
    try {
      const session = await deps.account.session();
      turn = { deps, session, record, job, context };
      return finishes ? await finish(turn) : await takeTurn(turn);
    } catch (thrown) {
      const error = asAppError(thrown);
      // The turn's own, as it may have gone on.
      const last = turn?.job ?? job;
      if (error.code === "account_does_not_exist" && turn && (await deps.account.renewSession(turn.session)))
        return { kind: "later", at: deps.clock.now(), data: last };
      return await failed(deps, record, last, error);
    }
  };
}

/** Paused after the CA was asked to issue: what has been paid for is fetched, and the certificate stays paused. */
async function isFinishing(
  { account }: IssuanceDeps,
  record: CertificateRecord | undefined,
  job: OrderJob,
): Promise<boolean> {
  if (record?.status !== "paused" || record.generation !== job.generation) return false;
  return record.orderUrl !== undefined && (await account.ledger.isFinalizing(holderOf(record)));
}

async function finish(turn: Turn): Promise<Outcome<OrderJob>> {
  const { deps, session, record } = turn;
  const order = await session.getOrder(record.orderUrl ?? "");
  if (order.status === "processing") return poll(turn, order);
  if (order.status === "valid") await save(turn, order);
  else await deps.account.ledger.release(holderOf(record));
  return DONE;
}

async function takeTurn(turn: Turn): Promise<Outcome<OrderJob>> {
  if (turn.context.signal.aborted) return { kind: "later", at: turn.deps.clock.now(), data: turn.job };
  let order = await currentOrder(turn);
  if (order === undefined) return DONE;
  for (;;) {
    if (turn.context.signal.aborted) return { kind: "later", at: turn.deps.clock.now(), data: turn.job };
    switch (order.status) {
      case "pending": {
        if (turn.job.answered) return poll(turn, order);
        const wait = await answerChallenges(turn, order);
        if (wait) return wait;
        turn.job = { ...turn.job, answered: true, answeredAt: turn.deps.clock.now(), polls: 0 };
        return poll(turn, order);
      }
      case "ready":
        await validationsDone(turn);
        turn.job = { ...turn.job, polls: 0 };
        order = await finalize(turn, order);
        break;
      case "processing":
        return poll(turn, order);
      case "valid":
        await save(turn, order);
        return DONE;
      case "invalid":
        throw await orderFailure(turn, order);
    }
    // Finalizing leads to `processing` or `valid`; a CA that stays at `ready` is asked again later.
    if (order.status === "ready") return poll(turn, order);
  }
}

/** The order of this generation as the CA has it now: the one on record, or a new one. */
async function currentOrder(turn: Turn): Promise<Order | undefined> {
  const { deps, session, record } = turn;
  const { certificates } = deps;
  const { id, generation } = record;
  if (record.orderUrl !== undefined && (await isOurs(deps, record.orderUrl, id)))
    return await session.getOrder(record.orderUrl);
  if (record.orderUrl !== undefined) await certificates.dropOrder(id, generation, record.orderUrl);
  return await newOrder(turn);
}

/** Undefined when the certificate has gone back to an earlier stage, or another worker has it. */
async function newOrder(turn: Turn): Promise<Order | undefined> {
  const { deps, session, record } = turn;
  const { certificates, files, account, producer, clock } = deps;
  const { id, generation } = record;
  // Before anything is ordered: an order that nobody can answer for would be lost.
  await canAnswer(turn);
  if (!(await deps.leadsHere(record))) {
    await account.ledger.release(holderOf(record));
    const { renewal = false, plain = false } = turn.job;
    const { priority } = record.spec;
    const again = { id, generation, renewal, plain, account: account.name, priority };
    await producer.enqueue([again], clock.now());
    return undefined;
  }
  // Looked up before anything is counted.
  const options = await optionsOf(turn);
  if (!(await hasTokens(turn))) return undefined;
  const exemption = exemptionNow(deps, record, turn.job);
  // Noted first: whoever pauses it from now on may find it counted by the CA.
  await account.ledger.sending(holderOf(record));
  const change = { status: "ordering", event: { what: "ordering" } } as const;
  if (!(await certificates.transition(id, generation, change, clock.now())).ok) {
    await account.ledger.unsent(holderOf(record));
    await account.ledger.release(holderOf(record));
    return undefined;
  }
  const order = await place(turn, options);
  if (order === undefined) return await newOrder(turn);
  await account.ledger.ordered(holderOf(record));
  if (await account.breaker.passed("ca")) deps.tell(`Orders from ${account.name} go on: it answers again.`);
  const url = await certificates.claimOrder(id, generation, order.url);
  if (url === undefined) return undefined;
  // Another worker was quicker, as can happen when this one was thought dead: that order stands, with its key.
  if (url !== order.url) return await session.getOrder(url);
  await files.discardPending(id);
  await files.savePendingOrder(id, { generation, orderUrl: url, ca: account.name, exemption });
  return order;
}

/**
 * Admission has taken the tokens; since then a 429 may have told that there are fewer, or a request may have been lost
 * on its way, which the CA may have counted. False when the certificate has gone back to wait for them.
 */
async function hasTokens({ deps, record, job }: Turn): Promise<boolean> {
  await deps.account.ledger.lost(holderOf(record));
  const admission = await askLedger(deps, record, job);
  if (admission.kind === "ok") return true;
  if (admission.kind !== "drop") await backToAdmission(deps, record, job);
  return false;
}

/** An order begun at another CA, before the configuration was changed, cannot be gone on with here. */
async function isOurs({ account, files }: IssuanceDeps, orderUrl: string, id: string): Promise<boolean> {
  if (new URL(orderUrl).host === new URL(account.directory).host) return true;
  return (await files.pendingOrder(id))?.ca === account.name;
}

function poll({ deps, job }: Turn, order: Order): Outcome<OrderJob> {
  const polls = (job.polls ?? 0) + 1;
  const { transient: _, ...rest } = job;
  const at = pollAt(polls, deps.clock.now(), order.retryAt);
  if (at !== undefined) return { kind: "later", at, data: { ...rest, polls } };
  throw new AppError(`The CA has left the order at "${order.status}" for too long.`, {
    code: "order_stuck",
    disposition: "retry",
  });
}

async function failed(
  deps: IssuanceDeps,
  record: CertificateRecord,
  job: OrderJob,
  error: AppError,
): Promise<Outcome<OrderJob>> {
  if (error.code === NO_ROOM) return await waitForRoom(deps, record, job, error);
  if (isKeyFault(error) && !job.rekeyed) {
    await deps.files.discardPending(record.id);
    return { kind: "later", at: deps.clock.now(), data: { ...job, rekeyed: true } };
  }
  // The record is of the turn's beginning; the order may have been made since.
  const ordered = (await deps.certificates.get(record.id))?.orderUrl !== undefined;
  // The CA gives back what an order took that it has refused; one without an answer may have been counted.
  if (!ordered && (error.code !== "ca_unreachable" || error.unsent))
    await deps.account.ledger.unsent(holderOf(record));
  if (error.disposition === "limit") {
    if (ordered) return await waitForRoom(deps, record, job, error);
    await refusedByCa(deps, record, job, error);
    return DONE;
  }
  if (error.code === "paused_by_ca") await parkNames(deps, record, error);
  const known = await excused(deps, job, error);
  if (known === error) await countFailure(deps, record, error);
  const outcome = await fail(deps, record, known, job.transient);
  if (outcome.kind !== "later") return outcome;
  return { ...outcome, data: { ...job, transient: (job.transient ?? 0) + 1 } };
}

/**
 * A validation that met a closed port because the process that answers was just being started, after a crash, is not
 * the name's failure: it is ordered again at once. The CA has counted it, and so has the ledger.
 */
async function excused(
  { responders, clock }: IssuanceDeps,
  job: OrderJob,
  error: AppError,
): Promise<AppError> {
  if (error.code !== "connection" || job.answeredAt === undefined) return error;
  if (!(await responders.begunSince(job.answeredAt))) return error;
  const detail = `No responder was there when the CA came; it is ordered again. (${error.message})`;
  const { type, identifier, cause } = error;
  const retryAt = clock.now() + INTERRUPTED;
  return new AppError(detail, {
    code: "interrupted",
    disposition: "limit",
    retryAt,
    type,
    identifier,
    cause,
  });
}

/** The order has been paid for and is good for days: it waits, where a new one would cost another token. */
async function waitForRoom(
  deps: IssuanceDeps,
  record: CertificateRecord,
  job: OrderJob,
  error: AppError,
): Promise<Outcome<OrderJob>> {
  const at = error.retryAt ?? deps.clock.now() + UNTOLD;
  const { id, generation } = record;
  const change = { status: "waiting", reason: "limit", until: at, detail: error.message } as const;
  const event = { what: "waiting", detail: error.message };
  await deps.certificates.transition(id, generation, { ...change, event }, deps.clock.now());
  return { kind: "later", at, data: job };
}

/** Milliseconds until an interrupted validation is tried again. */
const INTERRUPTED = 2_000;

/** A key that was drawn badly, or one the CA has seen leaked: a new one is worth one try. */
function isKeyFault(error: AppError): boolean {
  return error.code === "bad_csr" || error.code === "bad_public_key";
}
