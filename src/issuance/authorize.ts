import type { Authorization, Challenge, Order } from "../acme/session.ts";
import { holderOf } from "../core/certificate.ts";
import { AppError } from "../core/errors.ts";
import type { Outcome } from "../queue/consumer.ts";
import type { OrderJob } from "../queue/names.ts";
import { dropRecords, lookForRecords, setRecords } from "./dns-answers.ts";
import { inGroups } from "./groups.ts";
import { tooManyFailures } from "./limit-words.ts";
import type { Turn } from "./ports.ts";

/** The window of a name's failures is full; the order itself is as good as before. */
export const NO_ROOM = "failed_authorizations";

interface Pending {
  authorization: Authorization;
  challenge: Challenge;
}

/** Before anything is ordered: throws where no challenge of this certificate could be answered. */
export async function canAnswer({ deps, record: { spec } }: Turn): Promise<void> {
  if (spec.challenge === "http-01") await deps.responders.ready(spec.acmePort);
  else await inGroups(spec.names, (name) => deps.dns.place(name));
}

/**
 * Answers the challenge of each name that the CA has not authorized yet (RFC 8555 §7.5). In this order:
 * somebody listens and the answers are in Redis (http-01), or every name server has them (dns-01); there is room for as
 * many failures; and only then the CA may come. What is given back is the wait for those name servers.
 */
export async function answerChallenges(turn: Turn, order: Order): Promise<Outcome<OrderJob> | undefined> {
  const { deps, session, record } = turn;
  const isDns = record.spec.challenge === "dns-01";
  if (isDns) {
    const wait = await lookForRecords(turn);
    if (wait) return wait;
  }
  const authorizations = await inGroups(order.authorizations, (url) => session.authorization(url));
  const pending = authorizations
    .filter(({ status }) => status === "pending")
    .map((found) => chosen(turn, found));
  if (pending.length > 0) {
    const names = pending.map(({ authorization }) => authorization.name);
    const answers = pending.map(({ authorization: { name }, challenge: { token } }) => ({
      name,
      token,
      keyAuthorization: session.keyAuthorization(token),
    }));
    if (isDns) {
      const wait = await setRecords(turn, answers);
      if (wait) return wait;
    } else {
      await deps.responders.ready(record.spec.acmePort);
      await deps.challenges.put(answers);
    }
    await holdPlaces(turn, names);
  }
  const change = { status: "validating", event: { what: "validating" } } as const;
  await deps.certificates.transition(record.id, record.generation, change, deps.clock.now());
  // One that is `processing` has been answered before a crash.
  const open = pending.filter(({ challenge }) => challenge.status === "pending");
  await inGroups(open, ({ challenge }) => session.answer(challenge));
}

function chosen({ record }: Turn, authorization: Authorization): Pending {
  const challenge = authorization.challenges.find(({ type }) => type === record.spec.challenge);
  if (challenge) return { authorization, challenge };
  const offered = authorization.challenges.map(({ type }) => type).join(", ");
  throw new AppError(
    `The CA offers no ${record.spec.challenge} challenge for ${authorization.name}, only ${offered || "none"}.`,
    { code: "no_challenge", disposition: "attention", identifier: authorization.name },
  );
}

async function holdPlaces({ deps, record }: Turn, names: readonly string[]): Promise<void> {
  const room = await deps.account.ledger.holdValidations(holderOf(record), names);
  if (room.ok) return;
  const retryAt = deps.clock.now() + room.wait;
  throw new AppError(tooManyFailures(room.name, deps.account.name, retryAt), {
    code: NO_ROOM,
    disposition: "limit",
    retryAt,
    identifier: room.name,
  });
}

/** All names are authorized: the places taken for failures are free again, the answers no longer needed. */
export async function validationsDone(turn: Turn): Promise<void> {
  const { deps, record } = turn;
  await dropRecords(turn);
  const { ledger, breaker, name } = deps.account;
  await ledger.validationsPassed(holderOf(record), record.spec.names);
  if (await breaker.passed("validation")) deps.tell(`Orders from ${name} go on: a validation has passed.`);
}

/**
 * Why an order has become invalid: the failed challenge says it, in the CA's own words. A name whose validation
 * failed keeps its place in the window, the others give theirs back.
 */
export async function orderFailure(turn: Turn, order: Order): Promise<AppError> {
  const { deps, session, record } = turn;
  const authorizations = await inGroups(order.authorizations, (url) => session.authorization(url));
  const failed = authorizations.filter(({ status }) => status === "invalid");
  // One that is still pending keeps its place too: the CA may be validating it, and find it wrong yet.
  // A name and its wildcard are two authorizations of one name: where one has failed, the name has.
  const passed = authorizations.filter(
    ({ status, name }) => status === "valid" && !failed.some((other) => other.name === name),
  );
  await deps.account.ledger.validationsFailed(
    holderOf(record),
    failed.map(({ name }) => name),
  );
  await deps.account.ledger.validationsPassed(
    holderOf(record),
    passed.map(({ name }) => name),
  );
  await dropAnswers(turn, authorizations);
  await dropRecords(turn);
  const reasons = failed.flatMap(({ name, challenges }) =>
    challenges.flatMap(({ error }) => (error ? [{ name, error }] : [])),
  );
  const first = reasons[0];
  if (!first)
    return (
      order.error ??
      new AppError("The CA has refused the order without a reason.", {
        code: "order_invalid",
        disposition: "retry",
      })
    );
  const { code, disposition, type, retryAt, cause } = first.error;
  const sentence = reasons.map(({ name, error }) => `${name}: ${error.message}`).join("; ");
  return new AppError(sentence, { code, disposition, type, retryAt, cause, identifier: first.name });
}

async function dropAnswers({ deps }: Turn, authorizations: readonly Authorization[]): Promise<void> {
  const tokens = authorizations.flatMap(({ challenges }) => challenges.map(({ token }) => token));
  await deps.challenges.drop(tokens.filter((token) => token !== ""));
}
