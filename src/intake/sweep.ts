import { type CertificateRecord, isIssued, type Status } from "../core/certificate.ts";
import { addMissingJobs, IN_ORDER } from "./jobs.ts";
import type { RestoreDeps } from "./ports.ts";

/** Certificates looked at in one turn: 100,000 are gone through in less than an hour. */
const SLICE = 1_000;
/** Statuses in which something is still to be done for a certificate. */
const ON_ITS_WAY = [...IN_ORDER, "deploying", "removed"] as const;

/**
 * Moves on what is on its way and has lost its job, a slice at each turn and round again: what no start and no command
 * comes by to heal.
 */
export class JobSweep {
  readonly #deps: RestoreDeps;
  #statuses: Status[] = [];
  #cursor: string | undefined;

  constructor(deps: RestoreDeps) {
    this.#deps = deps;
  }

  /** How many were given the job of an order. */
  async turn(): Promise<number> {
    const records: CertificateRecord[] = [];
    for (let statuses = 0; records.length < SLICE && statuses <= ON_ITS_WAY.length; ) {
      if (this.#statuses.length === 0) this.#statuses = [...ON_ITS_WAY];
      const [status] = this.#statuses;
      const page = await this.#deps.certificates.page({
        ...(status === undefined ? {} : { status }),
        ...(this.#cursor === undefined ? {} : { cursor: this.#cursor }),
        limit: SLICE - records.length,
      });
      records.push(...page);
      this.#cursor = page.at(-1)?.id;
      if (this.#cursor !== undefined) continue;
      this.#statuses.shift();
      statuses++;
    }
    return await this.#moveOn(records);
  }

  async #moveOn(records: readonly CertificateRecord[]): Promise<number> {
    const { rollouts, takeAway } = this.#deps;
    for (const record of records) if (record.status === "removed") await takeAway(record);
    await rollouts.advance(records.filter(isIssued));
    const ordered = new Set<Status>(IN_ORDER);
    return await addMissingJobs(
      this.#deps,
      records.filter(({ status }) => ordered.has(status)),
    );
  }
}
