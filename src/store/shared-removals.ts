import type { Redis } from "ioredis";
import { keys } from "./keys.ts";
import type { Removals } from "./removals.ts";

/** Milliseconds by which the hosts' clocks may differ, and a removal be late. */
const LATE = 3_600_000;

/** What was archived on any host, so that the others' files tell the same. */
export class SharedRemovals {
  readonly #redis: Redis;
  readonly #removals: Removals;
  #noted: Map<string, number> | undefined;
  #seen = 0;

  constructor(redis: Redis, removals: Removals) {
    this.#redis = redis;
    this.#removals = removals;
  }

  /** `at` in milliseconds since the epoch, as everywhere here. */
  async announce(id: string, at: number): Promise<void> {
    await this.#redis.zadd(keys.archived, "GT", at, id);
  }

  /** It is there again. */
  async revoke(id: string): Promise<void> {
    await this.#redis.zrem(keys.archived, id);
  }

  async at(id: string): Promise<number | undefined> {
    const score = await this.#redis.zscore(keys.archived, id);
    return score === null ? undefined : Number(score);
  }

  /** What this home does not know of yet. */
  async news(): Promise<[id: string, at: number][]> {
    const noted = await this.#load();
    const from = Math.max(0, this.#seen - LATE);
    const rows = await this.#redis.zrangebyscore(keys.archived, from, "+inf", "WITHSCORES");
    const news: [string, number][] = [];
    for (let i = 0; i < rows.length; i += 2) {
      const [id = "", at] = [rows[i], Number(rows[i + 1])];
      this.#seen = Math.max(this.#seen, at);
      if ((noted.get(id) ?? 0) < at) news.push([id, at]);
    }
    return news;
  }

  async noteHere(id: string, at: number): Promise<void> {
    const noted = await this.#load();
    if ((noted.get(id) ?? 0) >= at) return;
    await this.#removals.note(id, at);
    noted.set(id, at);
  }

  async #load(): Promise<Map<string, number>> {
    this.#noted ??= await this.#removals.load();
    return this.#noted;
  }
}
