import type { Redis } from "ioredis";
import type { CertificateRecord, RenewalState } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import type { CertificateStore, Transition } from "./certificates.ts";
import { keys } from "./keys.ts";
import { claimRenewalsScript, noteRenewalScript } from "./renewal-scripts.ts";
import { execAll } from "./script.ts";

export interface RenewalNote {
  id: string;
  /** Of the leaf that it is about. */
  serial: string;
  /** Milliseconds since the epoch, as is `lookAt`. */
  renewAt: number;
  schedule: RenewalState;
  lookAt: number;
  /** It was revoked then, milliseconds since the epoch. */
  revokedAt?: number;
  event?: Transition["event"];
}

/** All certificates by the moment at which their renewal is looked at next. */
export class Renewals {
  readonly #redis: Redis;
  readonly #certificates: Pick<CertificateStore, "present">;

  constructor(redis: Redis, certificates: Pick<CertificateStore, "present">) {
    this.#redis = redis;
    this.#certificates = certificates;
  }

  /**
   * At most `limit` certificates that are due for a look at their renewal, the longest overdue first. Nobody else is
   * given them before `until`, milliseconds since the epoch.
   */
  async claim(
    now: number,
    limit: number,
    until: number,
  ): Promise<{ records: CertificateRecord[]; more: boolean }> {
    const ids = (await claimRenewalsScript.run(
      this.#redis,
      [keys.renewals],
      [now, limit, until],
    )) as string[];
    return { records: await this.#certificates.present(ids), more: ids.length === limit };
  }

  /** When each is renewed and looked at next; of leaves that have been replaced meanwhile nothing is noted. */
  async note(notes: readonly RenewalNote[], now: number): Promise<void> {
    if (notes.length === 0) return;
    const pipeline = noteRenewalScript.pipeline(this.#redis);
    for (const { id, serial, renewAt, schedule, lookAt: at, revokedAt, event } of notes)
      noteRenewalScript.queue(
        pipeline,
        [keys.certificate(id), keys.renewals, keys.events(id), keys.events("all"), keys.renewTimes],
        [
          id,
          serial,
          renewAt,
          JSON.stringify(schedule),
          at,
          revokedAt ?? "",
          event === undefined ? "" : JSON.stringify({ at: rfc3339(now), ...event }),
        ],
      );
    await execAll(pipeline);
  }
}
