import type { Redis } from "ioredis";
import { AppError, type StoredError, storedError } from "../core/errors.ts";
import { keys } from "./keys.ts";

/** Seconds. A person ends a stop by a retry or a restart; it ends by itself too, should nobody think of that. */
const LASTS = 3_600;

/** CA accounts of which nothing may go on: the CA refuses the account as such. */
export class AccountStops {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async reason(account: string): Promise<AppError | undefined> {
    const text = await this.#redis.get(keys.accountStop(account));
    if (!text) return undefined;
    const { code, type, detail, url } = JSON.parse(text) as StoredError;
    return new AppError(detail, { code, type, url, disposition: "attention" });
  }

  async stop(account: string, error: AppError): Promise<void> {
    await this.#redis.set(keys.accountStop(account), JSON.stringify(storedError(error)), "EX", LASTS);
  }

  async lift(account: string): Promise<void> {
    await this.#redis.del(keys.accountStop(account));
  }
}
