import type { Redis } from "ioredis";
import { type Clock, rfc3339, systemClock } from "../core/clock.ts";
import { keys } from "./keys.ts";

/** Seconds: how long one probe speaks for the way to the load balancer. */
const LIFETIME = 86_400;
/** Milliseconds between two writes of one process. */
const REWRITE = 60_000;

/** Whether a probe of this installation has come back of late, of whichever process and name. */
export class ProbeHistory {
  readonly #redis: Redis;
  readonly #clock: Clock;
  #writtenAt = Number.NEGATIVE_INFINITY;

  constructor(redis: Redis, clock: Clock = systemClock) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /** Thousands of names pass in a row; one a minute is written. */
  async passed(): Promise<void> {
    const now = this.#clock.now();
    if (now - this.#writtenAt < REWRITE) return;
    await this.#redis.set(keys.probePassed, rfc3339(now), "EX", LIFETIME);
    this.#writtenAt = now;
  }

  async anyPassed(): Promise<boolean> {
    return (await this.#redis.exists(keys.probePassed)) === 1;
  }
}
