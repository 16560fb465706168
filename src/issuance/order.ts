import type { AcmeSession, Order } from "../acme/session.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import { AppError, asAppError } from "../core/errors.ts";
import { DONE, type Handler, type Outcome } from "../queue/consumer.ts";
import type { OrderJob } from "../queue/names.ts";
import { isWanted } from "./admit.ts";
import { answerChallenges, NO_ROOM, orderFailure, validationsDone } from "./authorize.ts";
import { askAgain, fail } from "./failure.ts";
import { pollAt } from "./polling.ts";
import type { IssuanceDeps, Turn } from "./ports.ts";
import { finalize, save } from "./save.ts";

/**
 * One turn of an order: as many steps as can be done without waiting (RFC 8555 §7.4). To wait is to come back as a
 * delayed job, so that a slow CA holds no worker. Every turn begins with what the CA says of the order, so a job
 * that comes back after a crash goes on wherever that order stands.
 */
export function orderHandler(deps: IssuanceDeps): Handler<OrderJob> {
  return async (job, context) => {
    const record = await deps.certificates.get(job.id);
    if (!isWanted(record, job) || record.status === "issued" || record.status === "attention") return DONE;
    if (record.status === "waiting" && record.reason === "retry") {
      // Failed, and then the process died before it had asked for the next try.
      await askAgain(deps, record, record.until ?? deps.clock.now());
      return DONE;
    }
    let session: AcmeSession | undefined;
    try {
      session = await deps.account.session();
      return await takeTurn({ deps, session, record, job, context });
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.code === "account_does_not_exist" && session && (await deps.account.renewSession(session)))
        return { kind: "later", at: deps.clock.now(), data: job };
      return await failed(deps, record, job, error);
    }
  };
}

async function takeTurn(turn: Turn): Promise<Outcome<OrderJob>> {
  if (turn.context.signal.aborted) return { kind: "later", at: turn.deps.clock.now(), data: turn.job };
  let order = await currentOrder(turn);
  if (order === undefined) return DONE;
  for (;;) {
    if (turn.context.signal.aborted) return { kind: "later", at: turn.deps.clock.now(), data: turn.job };
    switch (order.status) {
      case "pending":
        if (turn.job.answered) return poll(turn, order);
        await answerChallenges(turn, order);
        turn.job = { ...turn.job, answered: true, answeredAt: turn.deps.clock.now(), polls: 0 };
        return poll(turn, order);
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
async function currentOrder({ deps, session, record }: Turn): Promise<Order | undefined> {
  const { certificates, files, account } = deps;
  const { id, generation } = record;
  if (record.orderUrl !== undefined && (await isOurs(deps, record.orderUrl, id)))
    return await session.getOrder(record.orderUrl);
  if (record.orderUrl !== undefined) await certificates.dropOrder(id, generation, record.orderUrl);
  // Before anything is ordered: an order that nobody can answer for would be lost.
  await deps.responders.ready(record.spec.acmePort);
  await certificates.transition(
    id,
    generation,
    { status: "ordering", event: { what: "ordering" } },
    deps.clock.now(),
  );
  const profile = record.spec.profile ?? account.profile;
  const order = await session.newOrder(record.spec.names, profile === undefined ? {} : { profile });
  const url = await certificates.claimOrder(id, generation, order.url);
  if (url === undefined) return undefined;
  // Another worker was quicker, as can happen when this one was thought dead: that order stands, with its key.
  if (url !== order.url) return await session.getOrder(url);
  await files.discardPending(id);
  await files.savePendingOrder(id, { generation, orderUrl: url, ca: account.name });
  return order;
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
  if (error.disposition === "limit" || error.disposition === "node") {
    // The record is of the turn's beginning; the order may have been made since.
    const ordered = (await deps.certificates.get(record.id))?.orderUrl !== undefined;
    if (ordered && error.disposition === "limit") return await waitForRoom(deps, record, job, error);
    if (!ordered) await squareAccounts(deps, error);
  }
  const outcome = await fail(deps, record, await excused(deps, job, error), job.transient);
  if (outcome.kind === "later") return { ...outcome, data: { ...job, transient: (job.transient ?? 0) + 1 } };
  return outcome;
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

/** No order was made: its token is given back, or the CA has said how long there is none. */
async function squareAccounts({ account, clock }: IssuanceDeps, error: AppError): Promise<void> {
  if (error.disposition === "node") await account.ledger.refundOrder();
  else if (error.retryAt !== undefined && !OF_ONE_NAME.test(error.message))
    await account.ledger.ordersExhausted(error.retryAt - clock.now());
}

/** The order has been paid for and is good for days: it waits, where a new one would cost another token. */
async function waitForRoom(
  deps: IssuanceDeps,
  record: CertificateRecord,
  job: OrderJob,
  error: AppError,
): Promise<Outcome<OrderJob>> {
  const at = error.retryAt ?? deps.clock.now();
  const { id, generation } = record;
  const change = { status: "waiting", reason: "limit", until: at, detail: error.message } as const;
  const event = { what: "waiting", detail: error.message };
  await deps.certificates.transition(id, generation, { ...change, event }, deps.clock.now());
  return { kind: "later", at, data: job };
}

/** Milliseconds until an interrupted validation is tried again. */
const INTERRUPTED = 2_000;

/** Limits that hold up one name and no other certificate (boulder, ratelimits/limiter.go, Decision.Result). */
const OF_ONE_NAME = /too many (?:certificates|failed authorizations)/i;

/** A key that was drawn badly, or one the CA has seen leaked: a new one is worth one try. */
function isKeyFault(error: AppError): boolean {
  return error.code === "bad_csr" || error.code === "bad_public_key";
}
