import type { Reason, Status } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import type { CertificateStore } from "../store/certificates.ts";
import type { ImportRecord, ImportStore } from "../store/imports.ts";
import type { ImportProgress, ImportSummary } from "./schemas/imports.ts";

/** Looking may take this part of the time, whoever watches; and nobody sees what is older than that, in milliseconds. */
const PART = 1 / 10;
const OLDEST = 10_000;
/** Imports that are watched at once; of more than that, the ones first looked at are looked at anew. */
const MOST = 100;

/** An import without its certificates. */
export function importSummary({ id, source, at, counts, read, ended, open }: ImportRecord): ImportSummary {
  return { import: id, source, at: rfc3339(at), ...counts, read, ended, open };
}

/** How the certificates of an import stand, and when the last of them should be done. */
interface Standings {
  statuses: Partial<Record<Status, number>>;
  waiting: Partial<Record<Reason, number>>;
  /** Milliseconds since the epoch. */
  finishesAt: number | undefined;
}

/** When the last of these should be done, as things stand; undefined where nobody can say that of any. */
export type DoneBy = (
  standings: readonly { id: string; status: Status; reason?: Reason }[],
) => Promise<number | undefined>;

export interface ProgressDeps {
  imports: Pick<ImportStore, "certificates">;
  certificates: Pick<CertificateStore, "standings">;
  doneBy?: DoneBy | undefined;
  /** Milliseconds; of a clock that never goes back. */
  now?: () => number;
}

/**
 * How imports get on. All who watch one share what is found, which is kept for longer the longer it took: an import of
 * 100,000 certificates, watched by ten, costs a tenth of a processor at most.
 */
export class Progress {
  readonly #deps: ProgressDeps;
  readonly #now: () => number;
  readonly #found = new Map<string, { until: number; standings: Promise<Standings> }>();

  constructor(deps: ProgressDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? (() => performance.now());
  }

  /** The counts are those of the record; the statuses may be some seconds old. */
  async of(record: ImportRecord): Promise<ImportProgress> {
    const { statuses, waiting, finishesAt } = await this.#standings(record);
    return {
      ...importSummary(record),
      statuses,
      waiting,
      finishesAt: finishesAt === undefined ? null : rfc3339(finishesAt),
    };
  }

  #standings({ id }: ImportRecord): Promise<Standings> {
    const known = this.#found.get(id);
    const began = this.#now();
    if (known && began < known.until) return known.standings;
    const entry = { until: Number.POSITIVE_INFINITY, standings: this.#look(id) };
    const keep = (): void => {
      entry.until = this.#now() + Math.min(OLDEST, (this.#now() - began) / PART);
    };
    entry.standings.then(keep, () => this.#found.delete(id));
    this.#found.delete(id);
    this.#found.set(id, entry);
    for (const oldest of this.#found.keys()) {
      if (this.#found.size <= MOST) break;
      this.#found.delete(oldest);
    }
    return entry.standings;
  }

  async #look(id: string): Promise<Standings> {
    const { imports, certificates, doneBy } = this.#deps;
    const statuses: Partial<Record<Status, number>> = {};
    const waiting: Partial<Record<Reason, number>> = {};
    let finishesAt: number | undefined;
    for await (const ids of imports.certificates(id)) {
      const there = (await certificates.standings(ids)).flatMap((standing, index) =>
        standing ? [{ id: ids[index] ?? "", ...standing }] : [],
      );
      for (const { status, reason } of there) {
        statuses[status] = (statuses[status] ?? 0) + 1;
        if (status === "waiting" && reason) waiting[reason] = (waiting[reason] ?? 0) + 1;
      }
      const at = await doneBy?.(there);
      if (at !== undefined) finishesAt = Math.max(finishesAt ?? 0, at);
    }
    return { statuses, waiting, finishesAt };
  }
}
