import type { CertificateRecord } from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import { type ImportFiles, newImportId } from "../store/import-files.ts";
import { type ImportStore, NO_COUNTS, type NotifyMode } from "../store/imports.ts";
import type { Enqueuer } from "./enqueue.ts";

export interface AgainDeps {
  imports: ImportStore;
  importFiles: ImportFiles;
  enqueuer: Enqueuer;
  clock: Clock;
}

export interface AgainRequest {
  /** Who asks, for a person. */
  source: string;
  notify: NotifyMode;
  /** The CA that a certificate is from, which may exempt its renewal. */
  caOf(record: CertificateRecord): string | undefined;
  /** Of these orders alone; 1 goes first. */
  priority?: number;
}

/**
 * Orders certificates anew that are there, as one import: on disk before it is queued, to be waited for, and told of in
 * one digest.
 */
export async function orderAgain(
  { imports, importFiles, enqueuer, clock }: AgainDeps,
  chunks: AsyncIterable<readonly CertificateRecord[]>,
  { source, notify, caOf, priority }: AgainRequest,
): Promise<{ id: string; count: number }> {
  const begunAt = clock.now();
  const id = newImportId(begunAt);
  const counts = { ...NO_COUNTS };
  const journal = await importFiles.begin({ import: id, source, at: begunAt, notify });
  try {
    await imports.create(id, source, notify, begunAt);
    for await (const records of chunks) {
      const at = clock.now();
      const specs = records.map(({ spec }) => spec);
      await journal.append(
        specs.map((spec, index) => ({ line: counts.rows + index + 1, at, spec, force: true })),
      );
      const accepted = await enqueuer.enqueue(specs, {
        importId: id,
        force: true,
        renewal: true,
        accounts: records.map(caOf),
        renews: records.map(({ leaf }) => leaf?.serial),
        ...(priority === undefined ? {} : { priority }),
      });
      // What was paused, removed or renewed since it was chosen is left as it is.
      const asked = accepted.filter(({ action }) => action !== "unchanged").length;
      counts.rows += records.length;
      counts.accepted += asked;
      counts.retried += asked;
      counts.unchanged += records.length - asked;
      await imports.setCounts(id, counts, at);
    }
    await journal.append([{ end: counts }]);
  } finally {
    await journal.close();
  }
  await enqueuer.finishReading(id, counts);
  return { id, count: counts.accepted };
}
