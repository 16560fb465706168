import type { CertificateRecord } from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import type { CertificateStore, Transition } from "./certificates.ts";
import { type CertificateFiles, certificateFile } from "./files.ts";
import { leafTime } from "./layout.ts";
import { isDamaged } from "./vault.ts";

/** Who is told when a certificate settles, or the last one of an import. */
export interface SettlementListener {
  settled(record: CertificateRecord, info: { awaited: boolean }): Promise<void>;
  importEnded(importId: string): Promise<void>;
}

export interface SettlementDeps {
  certificates: CertificateStore;
  files: CertificateFiles;
  listener: SettlementListener;
  clock: Clock;
}

/** Undefined where its entry in the store is damaged, and it is on no disk here: that is told where it is needed. */
export async function readable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isDamaged(error)) return undefined;
    throw error;
  }
}

export interface SettleOptions {
  /** Its files say so already, as a new leaf was put into place with them. */
  committed?: boolean;
}

/**
 * A certificate has come to rest: to disk, then to the index, then to whoever waits for it, as the index may be lost.
 * What waits for a limit stays out of the files. False when a newer generation has taken over.
 */
export async function settle(
  deps: SettlementDeps,
  record: CertificateRecord,
  change: Transition,
  { committed = false }: SettleOptions = {},
): Promise<boolean> {
  const { event: _, resumes: ______, ...state } = change;
  const { reason: __, detail: ___, until: ____, error: _____, ...kept } = record;
  const settled: CertificateRecord = { ...kept, ...state };
  if (change.reason !== "limit" && !committed) {
    const before = await readable(deps.files.read(record.id));
    // What was read before a later leaf was put into place must not be written over it.
    const { leaf } = before && leafTime(before) > leafTime(settled) ? before : settled;
    const told = leaf === undefined ? settled : { ...settled, leaf };
    await deps.files.saveState(record.id, certificateFile(told, before?.provenance));
  }
  const result = await deps.certificates.transition(record.id, record.generation, change, deps.clock.now());
  if (!result.ok) return false;
  if (change.reason !== "limit") await deps.listener.settled(settled, { awaited: result.awaited });
  for (const importId of result.ended) await deps.listener.importEnded(importId);
  return true;
}
