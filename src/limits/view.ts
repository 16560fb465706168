import type { Redis } from "ioredis";
import { keys } from "../store/keys.ts";
import { execAll } from "../store/script.ts";
import type { BucketState } from "./buckets.ts";
import type { CertificateLimit } from "./table.ts";

/** Keys looked at in one round trip. */
const SLICE = 1_000;
/** Waiting rooms looked at for the fullest of them, those first whose turn comes next. */
const MOST_ROOMS = 20_000;

/** A bucket that is not full, or that somebody waits for. */
export interface SeenBucket extends BucketState {
  limit: CertificateLimit;
  subject: string;
  /** How many stand in its waiting room. */
  waiting: number;
}

/** Looks at one account's ledger, and changes nothing. */
export class LedgerView {
  readonly #redis: Redis;
  readonly #account: string;

  constructor(redis: Redis, account: string) {
    this.#redis = redis;
    this.#account = account;
  }

  async state(limit: CertificateLimit, subject: string): Promise<BucketState> {
    const [tat, holds] = await execAll(
      this.#redis
        .pipeline()
        .get(keys.bucket(limit, this.#account, subject))
        .zcard(keys.holds(limit, this.#account, subject)),
    );
    return { tat: Number(tat ?? 0), holds: Number(holds) };
  }

  /** Every bucket that is not full. Walks over all keys of this Redis: for a person's question, never for a job. */
  async *all(): AsyncGenerator<SeenBucket> {
    const seen = new Set<string>();
    for (const family of ["bucket", "holds", "room"] as const)
      for await (const names of this.#names(family)) {
        // SCAN may name a key twice.
        const fresh = [...new Set(names)].filter((name) => !seen.has(name));
        for (const name of fresh) seen.add(name);
        yield* await this.#read(fresh);
      }
  }

  /** Those of the buckets that the most wait for. Looks at the waiting rooms alone. */
  async fullestRooms(most: number): Promise<SeenBucket[]> {
    const rooms = await this.#redis.zrange(keys.rooms(this.#account), "0", String(MOST_ROOMS - 1));
    const sizes: { room: string; size: number }[] = [];
    for (let from = 0; from < rooms.length; from += SLICE) {
      const slice = rooms.slice(from, from + SLICE);
      const pipeline = this.#redis.pipeline();
      for (const room of slice) pipeline.zcard(keys.family("room") + room);
      const counts = await execAll(pipeline);
      for (const [index, room] of slice.entries()) sizes.push({ room, size: Number(counts[index]) });
    }
    const fullest = sizes.filter(({ size }) => size > 0).sort((a, b) => b.size - a.size);
    return await this.#read(fullest.slice(0, most).map(({ room }) => room));
  }

  /** How many validations of each name count against its limit. Walks over all keys, too. */
  async *failures(): AsyncGenerator<{ name: string; places: number; oldest: number }> {
    const prefix = keys.validations(this.#account, "");
    for await (const found of this.#scan(`${prefix}*`)) {
      const pipeline = this.#redis.pipeline();
      for (const key of found) pipeline.zcard(key).zrange(key, "0", "0", "WITHSCORES");
      const results = await execAll(pipeline);
      for (const [index, key] of found.entries()) {
        const oldest = results[2 * index + 1] as string[];
        yield {
          name: key.slice(prefix.length),
          places: Number(results[2 * index]),
          oldest: Number(oldest[1] ?? 0),
        };
      }
    }
  }

  async *#names(family: "bucket" | "holds" | "room"): AsyncGenerator<string[]> {
    const prefix = keys.family(family);
    for await (const found of this.#scan(`${prefix}*:${this.#account}:*`))
      yield found.map((key) => key.slice(prefix.length));
  }

  async *#scan(pattern: string): AsyncGenerator<string[]> {
    let cursor = "0";
    do {
      const [next, found] = await this.#redis.scan(cursor, "MATCH", pattern, "COUNT", SLICE);
      if (found.length > 0) yield found;
      cursor = next;
    } while (cursor !== "0");
  }

  async #read(names: readonly string[]): Promise<SeenBucket[]> {
    const parts = names.map((name) => name.split(":") as [CertificateLimit, string, string]);
    const pipeline = this.#redis.pipeline();
    for (const [limit, account, subject] of parts)
      pipeline
        .get(keys.bucket(limit, account, subject))
        .zcard(keys.holds(limit, account, subject))
        .zcard(keys.room(limit, account, subject));
    const results = await execAll(pipeline);
    return parts.map(([limit, , subject], index) => ({
      limit,
      subject,
      tat: Number(results[3 * index] ?? 0),
      holds: Number(results[3 * index + 1]),
      waiting: Number(results[3 * index + 2]),
    }));
  }
}
