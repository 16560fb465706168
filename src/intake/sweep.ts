import type { CertificateRecord, Status } from "../core/certificate.ts";
import { addMissingJobs, ON_ITS_WAY, type RestoreDeps } from "./restore.ts";

/** Certificates looked at in one turn: 100,000 are gone through in less than an hour. */
const SLICE = 1_000;

/**
 * Gives a job to certificates that are on their way and have none, a slice at each turn and round again: what no start
 * and no command comes by to heal.
 */
export class JobSweep {
  readonly #deps: RestoreDeps;
  #statuses: Status[] = [];
  #cursor: string | undefined;

  constructor(deps: RestoreDeps) {
    this.#deps = deps;
  }

  /** How many were given a job. */
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
    return await addMissingJobs(this.#deps, records);
  }
}
