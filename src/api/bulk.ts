import type { CertificateRecord } from "../core/certificate.ts";
import { type AppError, asAppError, usageError } from "../core/errors.ts";
import { Gate } from "../core/flow.ts";
import type { ApiDeps } from "./deps.ts";
import { findCertificate, unlessRemoved } from "./find.ts";
import { notPaused, problemOf } from "./problems.ts";
import type { BULK_ACTIONS, BulkAnswer } from "./schemas/bulk.ts";

/** Certificates in hand at once. */
const AT_ONCE = 8;

export type BulkAction = (typeof BULK_ACTIONS)[number];

/** What became of one certificate: an error, or a word on what is still to come. */
type Outcome = AppError | string | undefined;

/**
 * The same for each of these certificates, each noted in the audit log before it is done. A name that cannot be found, or
 * does not fit where its certificate stands, stops no other.
 */
export async function actOnMany(
  deps: ApiDeps,
  by: string,
  { action, names, reopen }: { action: BulkAction; names: readonly string[]; reopen: boolean },
): Promise<BulkAnswer> {
  const gate = new Gate(AT_ONCE);
  const found = await Promise.all(
    names.map((name) => gate.run(() => settled(() => recordFor(deps, action, name)))),
  );
  // However often, and in whatever spelling, it is named.
  const records = new Map(found.flatMap((one) => (isRecord(one) ? [[one.id, one] as const] : [])));
  const noted = await Promise.all(
    [...records.values()].map((record) =>
      gate.run(() => settled(() => deps.audit.note({ by, action, record }).then(() => record))),
    ),
  );
  const ready = noted.filter(isRecord);
  const done = await perform(deps, gate, { action, reopen }, ready);
  const outcomes = new Map<string, Outcome>(ready.map(({ id }, index) => [id, done[index]]));
  for (const [index, id] of [...records.keys()].entries()) {
    const fault = noted[index];
    if (fault !== undefined && !isRecord(fault)) outcomes.set(id, fault);
  }
  const now = deps.intake.clock.now();
  const results = names.map((name, index) => {
    const one = found[index];
    return resultOf(deps, name, isRecord(one) ? outcomes.get(one.id) : one, now);
  });
  return { done: results.filter(({ ok }) => ok).length, results };
}

async function recordFor(
  { certificates }: ApiDeps,
  action: BulkAction,
  name: string,
): Promise<CertificateRecord> {
  const record = await findCertificate(certificates, name);
  return action === "remove" ? record : unlessRemoved(record);
}

/** Orders go together, as one import or one line on disk; the rest one by one. */
async function perform(
  { actions }: ApiDeps,
  gate: Gate,
  { action, reopen }: { action: BulkAction; reopen: boolean },
  records: readonly CertificateRecord[],
): Promise<Outcome[]> {
  const each = (act: (record: CertificateRecord) => Promise<Outcome>): Promise<Outcome[]> =>
    Promise.all(records.map((record) => gate.run(() => settled(() => act(record)))));
  switch (action) {
    case "retry":
    case "renew": {
      if (records.length === 0) return [];
      const all = action === "retry" ? actions.retryAll(records, { reopen }) : actions.renewAll(records);
      return await all.catch((thrown: unknown) => records.map(() => asAppError(thrown)));
    }
    case "pause":
      return await each((record) => actions.pause(record).then(() => undefined));
    case "resume":
      return await each(async (record) => {
        if ((await actions.resume(record)) === undefined) throw notPaused(record);
        return undefined;
      });
    case "remove":
      return await each(async (record) => {
        const { name, removed, owed } = await actions.remove(record, { revoke: false, wait: false });
        if (!removed)
          throw usageError("asked_again", `${name} was asked for again in between: it is not removed.`);
        return owed.length > 0 ? `Still to let go of it: ${owed.join(", ")}.` : undefined;
      });
  }
}

async function settled<T>(work: () => Promise<T>): Promise<T | AppError> {
  return await work().catch(asAppError);
}

function isRecord(one: CertificateRecord | AppError | undefined): one is CertificateRecord {
  return one !== undefined && !(one instanceof Error);
}

function resultOf(
  { log }: ApiDeps,
  name: string,
  outcome: Outcome,
  now: number,
): BulkAnswer["results"][number] {
  if (outcome === undefined) return { name, ok: true };
  if (typeof outcome === "string") return { name, ok: true, detail: outcome };
  if (outcome.disposition === "internal") log(`${name}: ${outcome.stack ?? outcome.message}`);
  return { name, ok: false, code: outcome.code, detail: problemOf(outcome, now).problem.detail };
}
