import type { Redis } from "ioredis";
import {
  type CertificateRecord,
  type CertificateSpec,
  certificateId,
  isSettled,
  lookAt,
  type NodeState,
  namesKey,
  otherNames,
  type Reason,
  type Status,
} from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { countedCode } from "../core/failure-codes.ts";
import { keys } from "./keys.ts";
import { readScript } from "./read-script.ts";
import {
  type AcceptAction,
  type Accepted,
  type CertificateEvent,
  changedFields,
  eventOf,
  FIELDS,
  type Transition,
  type TransitionResult,
  toFields,
  toRecord,
} from "./record.ts";
import { execAll } from "./script.ts";
import {
  acceptScript,
  claimOrderScript,
  dropOrderScript,
  forgetScript,
  nextGenerationScript,
  noteNodeScript,
  transitionScript,
} from "./scripts.ts";

export type {
  AcceptAction,
  Accepted,
  CertificateEvent,
  Transition,
  TransitionResult,
} from "./record.ts";

const STATUS_PREFIX = keys.status("" as Status);
const CERTIFICATE_PREFIX = keys.certificate("");
const WAITING_PREFIX = keys.waiting("" as Reason);
const IMPORT_PREFIX = keys.import("");
/** Records read in one round trip. */
const SLICE = 500;
/** Records read by one script: Redis does nothing else meanwhile, for about a millisecond. */
const READ_AT_ONCE = 250;

export type Standing = Pick<CertificateRecord, "status" | "reason">;

export interface NodeNote {
  id: string;
  node: string;
  state: NodeState | undefined;
  /** Without a state: the port under which the node has let go of it. */
  vipPort?: number;
  event?: Transition["event"];
}

/** The index of all certificates in Redis. */
export class CertificateStore {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /**
   * Accepts a chunk of specs in one round trip. `force` orders anew what has been issued already; `at` says when each
   * was asked for, where that was not now.
   */
  async accept(
    specs: readonly CertificateSpec[],
    options: {
      importId?: string;
      now: number;
      force?: boolean;
      at?: readonly number[];
      /** The account of each, where that is not the one it asks for. */
      accounts?: readonly (string | undefined)[];
      /** The serials of the leaves that are to be renewed: nothing is done for those that are no longer in use, or at rest. */
      renews?: readonly (string | undefined)[];
    },
  ): Promise<Accepted[]> {
    const pipeline = acceptScript.pipeline(this.#redis);
    for (const [index, spec] of specs.entries()) {
      const id = certificateId(spec.names[0] ?? "");
      acceptScript.queue(
        pipeline,
        [
          keys.certificate(id),
          keys.certificates,
          STATUS_PREFIX,
          keys.importOpen(options.importId ?? ""),
          WAITING_PREFIX,
          keys.otherNames,
        ],
        [
          id,
          namesKey(spec.names),
          JSON.stringify(spec),
          options.importId ?? "",
          options.at?.[index] ?? options.now,
          options.force ? "1" : "0",
          options.accounts?.[index] ?? "",
          options.renews?.[index] ?? "",
          otherNames(spec.names),
        ],
      );
    }
    const results = (await execAll(pipeline)) as [AcceptAction, number, number, string][];
    return results.map(([action, generation, hasLeaf, accountBefore], index) => ({
      id: certificateId(specs[index]?.names[0] ?? ""),
      action,
      generation,
      hasLeaf: hasLeaf === 1,
      accountBefore: accountBefore || undefined,
    }));
  }

  async get(id: string): Promise<CertificateRecord | undefined> {
    return toRecord(id, await this.#redis.hmget(keys.certificate(id), ...FIELDS));
  }

  async getMany(ids: readonly string[]): Promise<(CertificateRecord | undefined)[]> {
    const pipeline = readScript.pipeline(this.#redis);
    for (let from = 0; from < ids.length; from += READ_AT_ONCE)
      readScript.queue(pipeline, [CERTIFICATE_PREFIX], ids.slice(from, from + READ_AT_ONCE));
    const rows = ((await execAll(pipeline)) as string[][]).flat();
    return rows.map((row, index) => toRecord(ids[index] ?? "", JSON.parse(row) as (string | false)[]));
  }

  /** The same without those that are not there. */
  async present(ids: readonly string[]): Promise<CertificateRecord[]> {
    return (await this.getMany(ids)).filter((record) => record !== undefined);
  }

  /** How each stands, and no more; undefined for one that is not there. */
  async standings(ids: readonly string[]): Promise<(Standing | undefined)[]> {
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.hmget(keys.certificate(id), "status", "reason");
    const rows = (await execAll(pipeline)) as [string | null, string | null][];
    return rows.map(([status, reason]) =>
      status === null
        ? undefined
        : { status: status as Status, ...(reason ? { reason: reason as Reason } : {}) },
    );
  }

  /** Up to `limit` records in alphabetical order, those after `cursor` (an id) only. */
  async page(options: { status?: Status; cursor?: string; limit: number }): Promise<CertificateRecord[]> {
    return await this.present(await this.#ids(options.status, options.cursor, options.limit));
  }

  /** All records in slices of 500, in alphabetical order. */
  async *all(status?: Status): AsyncGenerator<CertificateRecord> {
    let cursor: string | undefined;
    do {
      const ids = await this.#ids(status, cursor, SLICE);
      yield* await this.present(ids);
      cursor = ids.at(-1);
    } while (cursor !== undefined);
  }

  async #ids(status: Status | undefined, cursor: string | undefined, limit: number): Promise<string[]> {
    const index = status === undefined ? keys.certificates : keys.status(status);
    return await this.#redis.zrange(
      index,
      cursor === undefined ? "-" : `(${cursor}`,
      "+",
      "BYLEX",
      "LIMIT",
      0,
      limit,
    );
  }

  async count(status?: Status): Promise<number> {
    return await this.#redis.zcard(status === undefined ? keys.certificates : keys.status(status));
  }

  /** Moves a certificate on, unless a newer generation has overtaken the caller. */
  async transition(
    id: string,
    generation: number,
    change: Transition,
    now: number,
  ): Promise<TransitionResult> {
    const settled = isSettled(change);
    const event = change.event ? JSON.stringify(eventOf(change, change.event, now)) : "";
    const result = (await transitionScript.run(
      this.#redis,
      [
        keys.certificate(id),
        STATUS_PREFIX,
        keys.events(id),
        keys.events("all"),
        IMPORT_PREFIX,
        keys.renewals,
        keys.serials,
        keys.expiries,
        keys.stageTimes,
        WAITING_PREFIX,
        keys.renewTimes,
        keys.obtained,
        keys.tally,
      ],
      [
        id,
        generation,
        settled ? "1" : "0",
        event,
        change.status,
        // What is noted without an event is told already.
        change.error && change.event ? countedCode(change.error.code) : "",
        ...changedFields(change),
        change.resumes ? "resume" : "",
      ],
    )) as string[];
    return { ok: result[0] === "ok", awaited: result[1] === "1", ended: result.slice(2) };
  }

  /**
   * What nodes were seen to serve, in one round trip; of certificates that are there. Without a state: that a node has
   * let go of it under a port, or altogether.
   */
  async noteNodes(seen: readonly NodeNote[], now: number): Promise<void> {
    if (seen.length === 0) return;
    const pipeline = noteNodeScript.pipeline(this.#redis);
    for (const { id, node, state, event, vipPort } of seen)
      noteNodeScript.queue(
        pipeline,
        [keys.certificate(id), keys.events(id), keys.events("all")],
        [
          id,
          node,
          state === undefined ? "" : JSON.stringify(state),
          event === undefined ? "" : JSON.stringify({ at: rfc3339(now), ...event }),
          vipPort ?? "",
        ],
      );
    await execAll(pipeline);
  }

  /** The certificates whose newest leaves have these serials. */
  async ownersOf(serials: readonly string[]): Promise<(string | undefined)[]> {
    if (serials.length === 0) return [];
    return (await this.#redis.hmget(keys.serials, ...serials)).map((id) => id ?? undefined);
  }

  /** Takes it out of the index, unless it has been asked for again. */
  async forget(id: string, generation: number): Promise<void> {
    await forgetScript.run(
      this.#redis,
      [
        keys.certificate(id),
        keys.certificates,
        keys.status("removed"),
        keys.renewals,
        keys.events(id),
        keys.serials,
        keys.expiries,
        keys.renewTimes,
        keys.otherNames,
      ],
      [id, generation],
    );
  }

  /** The order that stands for this generation: the given one, or the one that was recorded before. */
  async claimOrder(id: string, generation: number, orderUrl: string): Promise<string | undefined> {
    const url = await claimOrderScript.run(
      this.#redis,
      [keys.certificate(id), keys.tally],
      [generation, orderUrl],
    );
    return url === "" ? undefined : String(url);
  }

  async dropOrder(id: string, generation: number, orderUrl: string): Promise<void> {
    await dropOrderScript.run(this.#redis, [keys.certificate(id)], [generation, orderUrl]);
  }

  /** The number of the next generation, or undefined when another has begun one already. */
  async nextGeneration(id: string, generation: number): Promise<number | undefined> {
    const next = Number(await nextGenerationScript.run(this.#redis, [keys.certificate(id)], [generation]));
    return next === 0 ? undefined : next;
  }

  /** Puts back what the files tell about certificates that this Redis does not know. */
  async restore(records: readonly CertificateRecord[]): Promise<void> {
    const pipeline = this.#redis.pipeline();
    for (const record of records) {
      const { id, status, reason, spec } = record;
      pipeline.del(keys.certificate(id)).hset(keys.certificate(id), toFields(record));
      pipeline.zadd(keys.certificates, 0, id).zadd(keys.status(status), 0, id);
      if (status === "waiting" && reason) pipeline.zadd(keys.waiting(reason), 0, id);
      const others = otherNames(spec.names);
      if (others === "") pipeline.hdel(keys.otherNames, id);
      else pipeline.hset(keys.otherNames, id, others);
      if (record.leaf)
        pipeline
          .zadd(keys.renewals, lookAt(record), id)
          .zadd(keys.renewTimes, record.leaf.renewAt, id)
          .zadd(keys.expiries, record.leaf.notAfter, id)
          .hset(keys.serials, record.leaf.serial, id);
    }
    await execAll(pipeline);
  }

  /** What has happened to it, and when it came to its present status, milliseconds since the epoch. */
  async history(id: string): Promise<{ events: CertificateEvent[]; since: number | undefined }> {
    const asked = this.#redis.pipeline().hget(keys.certificate(id), "since").lrange(keys.events(id), 0, -1);
    const [since, lines] = (await execAll(asked)) as [string | null, string[]];
    return { events: oldestFirst(lines), since: since ? Number(since) : undefined };
  }

  /** Oldest first. */
  async events(id: string): Promise<CertificateEvent[]> {
    return oldestFirst(await this.#redis.lrange(keys.events(id), 0, -1));
  }
}

function oldestFirst(lines: readonly string[]): CertificateEvent[] {
  return lines.map((line) => JSON.parse(line) as CertificateEvent).reverse();
}
