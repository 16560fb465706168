import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { type CertificateRecord, certificateId } from "../core/certificate.ts";
import { type Clock, rfc3339 } from "../core/clock.ts";
import { checkName } from "../core/names.ts";
import { onDisk, SECRET_FILE } from "./atomic.ts";
import { keys } from "./keys.ts";

/** Entries kept in Redis; the file has all of them. */
const KEPT = 10_000;
/** Events of one certificate, as the scripts keep them. */
const EVENTS_KEPT = 100;

export interface AuditEntry {
  at: string;
  /** `api:<token's name>` or `cli:<user's name>`. */
  by: string;
  action: string;
  /** A certificate's first name; missing where it was about several. */
  certificate?: string;
  detail?: string;
}

export interface AuditNote extends Omit<AuditEntry, "at"> {
  record?: CertificateRecord;
}

/**
 * Who has asked for what. Noted before it is done, so that nothing is done without a note; what became of it is in the
 * certificate's own events. On disk it is one JSON line an entry, appended to by any number of processes; logrotate may
 * move the file away.
 */
export class AuditLog {
  readonly #redis: Redis;
  readonly #path: string;
  readonly #clock: Clock;

  constructor(redis: Redis, home: string, clock: Clock) {
    this.#redis = redis;
    this.#path = join(home, "audit.jsonl");
    this.#clock = clock;
  }

  async note({ record, by, action, certificate = record?.spec.names[0], detail }: AuditNote): Promise<void> {
    const about = {
      ...(certificate === undefined ? {} : { certificate }),
      ...(detail === undefined ? {} : { detail }),
    };
    const entry: AuditEntry = { at: rfc3339(this.#clock.now()), by, action, ...about };
    const line = JSON.stringify(entry);
    await onDisk(this.#path, () => appendFile(this.#path, `${line}\n`, { mode: SECRET_FILE }));
    await this.#redis.xadd(keys.audit, "MAXLEN", "~", KEPT, "*", "entry", line);
    if (certificate !== undefined) await this.#addEvent(entry, certificate);
  }

  /** In the certificate's history too, if it is there. */
  async #addEvent({ at, by, action, detail }: AuditEntry, certificate: string): Promise<void> {
    const checked = checkName(certificate);
    const id = certificateId(checked.ok ? checked.name : certificate);
    if ((await this.#redis.exists(keys.certificate(id))) === 0) return;
    const event = JSON.stringify({
      at,
      what: `asked to ${action}`,
      by,
      ...(detail === undefined ? {} : { detail }),
    });
    await this.#redis.lpush(keys.events(id), event);
    await this.#redis.ltrim(keys.events(id), 0, EVENTS_KEPT - 1);
  }

  /** Newest first, those before the entry of id `before`. */
  async page(limit: number, before?: string): Promise<{ id: string; entry: AuditEntry }[]> {
    const from = before === undefined ? "+" : `(${before}`;
    const rows = await this.#redis.xrevrange(keys.audit, from, "-", "COUNT", limit);
    return rows.map(([id, [, line = "{}"]]) => ({ id, entry: JSON.parse(line) as AuditEntry }));
  }
}
