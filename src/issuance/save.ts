import type { Order } from "../acme/session.ts";
import {
  type CertificateRecord,
  holderOf,
  type IssuedLeaf,
  namesKey,
  type RenewalState,
} from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import { checkChain } from "../pki/chain.ts";
import { createCsr } from "../pki/csr.ts";
import { generateKey, keyTypeOf } from "../pki/keys.ts";
import { certificateFile } from "../store/files.ts";
import { settle } from "../store/settlement.ts";
import type { IssuanceDeps, Turn } from "./ports.ts";
import { exemptionNow } from "./replaces.ts";

const WEEK = 7 * 86_400_000;

/** Asks for the certificate (RFC 8555 §7.4). Its key is on disk before, as the CA certifies it from then on. */
export async function finalize(turn: Turn, order: Order): Promise<Order> {
  const { deps, session, record } = turn;
  const key = await deps.files.pendingKey(record.id, () => newKey(turn));
  const change = { status: "finalizing", event: { what: "finalizing" } } as const;
  await deps.certificates.transition(record.id, record.generation, change, deps.clock.now());
  await deps.account.ledger.finalizing(holderOf(record));
  return await session.finalize(order, createCsr(key, record.spec.names));
}

/** The one in use where that is wanted, unless it is of another type now, or its certificate was revoked. */
async function newKey({ deps, record, job }: Turn): Promise<string> {
  const { files, renewals } = deps;
  const { id, spec, leaf } = record;
  // Not one that the CA did not like.
  if (renewals.reuseKey && !job.rekeyed && leaf && leaf.revokedAt === undefined) {
    const bundle = await files.bundle(id);
    if (bundle?.serial === leaf.serial && keyTypeOf(bundle.keyPem) === spec.keyType) return bundle.keyPem;
  }
  return await generateKey(spec.keyType);
}

/** A ledger that is lost is put together from the newest leaves: what the one before took still counts for a week. */
function paidBefore(before: IssuedLeaf | undefined, now: number): { paidAt?: number } {
  const at = before?.exempt ? before.paidAt : before?.issuedAt;
  return at !== undefined && now - at < WEEK ? { paidAt: at } : {};
}

interface Saved {
  leaf: IssuedLeaf;
  schedule: RenewalState;
}

/** Downloads the chain, checks it, and puts it with its key into place. */
export async function save(turn: Turn, order: Order): Promise<void> {
  const { deps, record } = turn;
  const key = await deps.files.existingPendingKey(record.id);
  const { leaf, schedule } =
    key === undefined ? await savedBefore(turn, order) : await saveNew(turn, order, key);
  // Before the index says so, as nobody comes back to it afterwards.
  await deps.account.ledger.issued(holderOf(record));
  const detail = `serial ${leaf.serial}, from ${leaf.issuer}, until ${rfc3339(leaf.notAfter)}`;
  const event = { what: "issued", detail };
  const resting = restingStatus(deps, record);
  const change = { ...resting, attempts: 0, leaf, schedule, event };
  const isNew = await settle(deps, record, change, { committed: true });
  if (!isNew) await overtaken(deps, record, { leaf, schedule });
  if (isNew && resting.status === "issued")
    deps.tell(`Successfully issued and uploaded new cert ${record.spec.names[0]}, finished`);
  await handOver(deps, record.id);
}

/**
 * Stopped while its order was fetched: paused, it has its certificate, and stays paused; removed, its files say so again,
 * or go to the archive, where the rest is.
 */
async function overtaken(
  deps: IssuanceDeps,
  { id, generation }: CertificateRecord,
  saved: Saved,
): Promise<void> {
  const { certificates, files, clock } = deps;
  const record = await certificates.get(id);
  if (record === undefined) await files.archive(id, clock.now());
  else if (record.status === "removed") await files.saveState(id, certificateFile(record));
  else if (record.status === "paused" && record.generation === generation)
    await settle(deps, record, { status: "paused", reason: "person", attempts: 0, ...saved });
}

/** To its nodes, where it has some. The index says so first: who comes back to this order does it again. */
export async function handOver({ certificates, onward }: IssuanceDeps, id: string): Promise<void> {
  const issued = await certificates.get(id);
  if (issued?.status === "deploying") await onward.advance([issued]);
}

/** One that was paused meanwhile has its certificate, and stays paused. */
function restingStatus(
  { onward }: IssuanceDeps,
  { status, spec }: CertificateRecord,
): Pick<CertificateRecord, "status" | "reason"> {
  if (status === "paused") return { status, reason: "person" };
  return { status: onward.deploys(spec.vipPort) ? "deploying" : "issued" };
}

/** A process that died while the set was moved into place, or before the index knew of it, left no key behind. */
async function savedBefore({ deps, record }: Turn, order: Order): Promise<Saved> {
  await deps.files.finishCommit(record.id);
  const file = await deps.files.read(record.id);
  if (file?.provenance?.orderUrl === order.url && file.leaf)
    return { leaf: file.leaf, schedule: file.schedule ?? {} };
  throw new AppError("The key of this order is gone from the disk; a new order is made with a new key.", {
    code: "key_lost",
    disposition: "retry",
  });
}

async function saveNew({ deps, session, record, job }: Turn, order: Order, key: string): Promise<Saved> {
  const { account, clock } = deps;
  const { names } = record.spec;
  const now = clock.now();
  const chain = checkChain(await session.certificate(order), key, names, now);
  // As it was when it was ordered: the window may have ended since.
  const exemption = (await deps.files.pendingOrder(record.id))?.exemption ?? exemptionNow(deps, record, job);
  // The CA counts it all the same.
  if (exemption === "ari") await account.ledger.spendSet(names);
  const exempt = exemption !== "none";
  const { renewAt, schedule } = deps.renewals.first(chain.leaf, record, now);
  const leaf = {
    ...chain.leaf,
    renewAt,
    issuedAt: now,
    ca: account.name,
    set: namesKey(names),
    generation: record.generation,
    ...(record.leaf?.set === namesKey(names) ? { renews: record.leaf.serial } : {}),
    ...(exempt ? { exempt, ...paidBefore(record.leaf, now) } : {}),
  };
  const { orderUrl: _, reason: __, detail: ___, until: ____, error: _____, ...kept } = record;
  const issued: CertificateRecord = { ...kept, ...restingStatus(deps, record), attempts: 0, leaf, schedule };
  const provenance = { ca: account.name, directory: account.directory, orderUrl: order.url };
  const file = certificateFile(issued, provenance);
  await deps.files.commit(record.id, { leafPem: chain.leafPem, issuersPem: chain.issuersPem, file });
  return { leaf, schedule };
}
