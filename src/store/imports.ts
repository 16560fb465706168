import type { Redis } from "ioredis";
import { keys } from "./keys.ts";
import { execAll } from "./script.ts";

export type NotifyMode = "each" | "digest" | "off";

/** Counts are of rows: rows = accepted + duplicates + unchanged + rejectedRows. */
export interface ImportCounts {
  rows: number;
  /** Rows that led to an order: new ones, other names under a known first name, and failed ones tried again. */
  accepted: number;
  /** Rows that repeat an earlier row of the same file. */
  duplicates: number;
  /** Rows whose certificate is there, or on its way, already. */
  unchanged: number;
  rejectedRows: number;
  /** Of the accepted ones, those that had failed before. */
  retried: number;
  /** Of the unchanged ones, those whose mail or ports were changed. */
  updated: number;
}

export const NO_COUNTS: ImportCounts = {
  rows: 0,
  accepted: 0,
  duplicates: 0,
  unchanged: 0,
  rejectedRows: 0,
  retried: 0,
  updated: 0,
};

export interface ImportRecord {
  id: string;
  source: string;
  at: number;
  notify: NotifyMode;
  /** True once the whole file has been taken in. */
  read: boolean;
  /** True once all its certificates have settled. */
  ended: boolean;
  counts: ImportCounts;
  /** Certificates not settled yet. */
  open: number;
  /** How many settled in which status. */
  settled: Record<string, number>;
}

/** Where an import stands among all of them. */
export interface ImportPlace {
  id: string;
  at: number;
}

/** The imports in Redis: counts, what is open, and the certificates of each. */
export class ImportStore {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async create(id: string, source: string, notify: NotifyMode, at: number): Promise<void> {
    await execAll(
      this.#redis
        .pipeline()
        .hset(keys.import(id), { source, notify, at: String(at), read: "0" })
        .zadd(keys.imports, at, id)
        .zadd(keys.importsReading, at, id),
    );
  }

  async setCounts(id: string, counts: ImportCounts, now: number): Promise<void> {
    await execAll(
      this.#redis
        .pipeline()
        .hset(keys.import(id), "counts", JSON.stringify(counts))
        .zadd(keys.importsReading, now, id),
    );
  }

  /** A sign of life while the file is being read. */
  async touch(id: string, now: number): Promise<void> {
    await this.#redis.zadd(keys.importsReading, "XX", now, id);
  }

  /** Imports of which nothing has been heard since `before`: their reader has died. */
  async abandoned(before: number): Promise<string[]> {
    return await this.#redis.zrangebyscore(keys.importsReading, "-inf", String(before));
  }

  /** The file is read to its end. Returns true when nothing of it is open, and nobody has said so yet. */
  async finishReading(id: string, counts: ImportCounts): Promise<boolean> {
    const results = await execAll(
      this.#redis
        .multi()
        .hset(keys.import(id), "counts", JSON.stringify(counts), "read", "1")
        .del(keys.importSeen(id))
        .zrem(keys.importsReading, id)
        .scard(keys.importOpen(id)),
    );
    if (Number(results[3]) > 0) return false;
    return (await this.#redis.hsetnx(keys.import(id), "ended", "1")) === 1;
  }

  async get(id: string): Promise<ImportRecord | undefined> {
    return (await this.getMany([id]))[0];
  }

  async getMany(ids: readonly string[]): Promise<(ImportRecord | undefined)[]> {
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.hgetall(keys.import(id)).scard(keys.importOpen(id));
    const results = await execAll(pipeline);
    return ids.map((id, index) =>
      toRecord(id, results[2 * index] as Record<string, string>, Number(results[2 * index + 1])),
    );
  }

  async notifyMode(id: string): Promise<NotifyMode | undefined> {
    return ((await this.#redis.hget(keys.import(id), "notify")) ?? undefined) as NotifyMode | undefined;
  }

  /** Ids of the certificates that stand in the import's file, in slices, in no order. */
  async *certificates(id: string): AsyncGenerator<string[]> {
    let cursor = "0";
    do {
      const [next, ids] = await this.#redis.sscan(keys.importCertificates(id), cursor, "COUNT", 500);
      if (ids.length > 0) yield ids;
      cursor = next;
    } while (cursor !== "0");
  }

  async addCertificates(id: string, ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.#redis.sadd(keys.importCertificates(id), ...ids);
  }

  /**
   * Notes where each certificate first stands in this file. Returns, for each, what was noted before, if anything:
   * "line|names".
   */
  async see(id: string, rows: readonly { id: string; mark: string }[]): Promise<(string | undefined)[]> {
    const key = keys.importSeen(id);
    const pipeline = this.#redis.pipeline();
    for (const row of rows) pipeline.hsetnx(key, row.id, row.mark).hget(key, row.id);
    // A reader that dies leaves it behind; no file takes a day to read.
    pipeline.expire(key, 86_400);
    const results = await execAll(pipeline);
    return rows.map((_, index) => (results[2 * index] === 1 ? undefined : String(results[2 * index + 1])));
  }

  async forgetSeen(id: string): Promise<void> {
    await this.#redis.del(keys.importSeen(id));
  }

  /** Newest first. */
  async latest(limit: number): Promise<string[]> {
    return await this.#redis.zrevrange(keys.imports, 0, limit - 1);
  }

  /**
   * Up to `limit` ids with their times, newest first, those that come after `before` only. It goes on after a place and
   * not at a number, so that new imports move nothing.
   */
  async page(limit: number, before?: ImportPlace): Promise<ImportPlace[]> {
    const found: ImportPlace[] = [];
    const from = before === undefined ? "+inf" : String(before.at);
    for (let offset = 0; found.length < limit; offset += limit) {
      const flat = await this.#redis.zrevrangebyscore(
        keys.imports,
        from,
        "-inf",
        "WITHSCORES",
        "LIMIT",
        offset,
        limit,
      );
      for (let index = 0; index < flat.length; index += 2) {
        const place = { id: flat[index] ?? "", at: Number(flat[index + 1]) };
        if (!before || isAfter(place, before)) found.push(place);
      }
      if (flat.length < 2 * limit) break;
    }
    return found.slice(0, limit);
  }

  /** How many certificates stand in the import's file. */
  async size(id: string): Promise<number> {
    return await this.#redis.scard(keys.importCertificates(id));
  }
}

function toRecord(id: string, hash: Record<string, string>, open: number): ImportRecord | undefined {
  if (hash.at === undefined) return undefined;
  const settled = Object.entries(hash).filter(([field]) => field.startsWith("settled:"));
  return {
    id,
    source: hash.source ?? "",
    at: Number(hash.at),
    notify: (hash.notify ?? "digest") as NotifyMode,
    read: hash.read === "1",
    ended: hash.ended === "1",
    counts: hash.counts ? (JSON.parse(hash.counts) as ImportCounts) : NO_COUNTS,
    open,
    settled: Object.fromEntries(settled.map(([field, n]) => [field.slice("settled:".length), Number(n)])),
  };
}

/** Redis orders those of one moment by their ids, the last one first here. */
function isAfter(place: ImportPlace, before: ImportPlace): boolean {
  return place.at < before.at || (place.at === before.at && place.id < before.id);
}
