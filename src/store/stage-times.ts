import type { Redis } from "ioredis";
import { STATUSES, type Status } from "../core/certificate.ts";
import { keys } from "./keys.ts";

/** Seconds: from a step at the CA to a week in a waiting room. */
export const STAGE_BUCKETS = [1, 5, 15, 60, 300, 1_800, 7_200, 43_200, 172_800, 604_800] as const;

export interface StageTime {
  stage: Status;
  /** How many took no longer than each of STAGE_BUCKETS, and longer than the one before. */
  counts: readonly number[];
  count: number;
  /** Seconds, of all together. */
  sum: number;
}

/** How long certificates were in each status before they left it; counted where they are moved on. */
export class StageTimes {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async all(): Promise<StageTime[]> {
    const hash = await this.#redis.hgetall(keys.stageTimes);
    const number = (field: string): number => Number(hash[field] ?? 0);
    return STATUSES.filter((stage) => number(`${stage}:count`) > 0).map((stage) => ({
      stage,
      counts: STAGE_BUCKETS.map((most) => number(`${stage}:${most}`)),
      count: number(`${stage}:count`),
      sum: number(`${stage}:sum`) / 1_000,
    }));
  }
}
