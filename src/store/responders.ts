import type { Redis } from "ioredis";
import { keys } from "./keys.ts";
import { execAll } from "./script.ts";

/** Seconds for which a responder counts as there after its last word. */
const HEARD = 10;
export const LISTENING = "ok";
const SINCE = "since";

/** Which ports http-01 is to be answered on, and which responders (of whatever node) do so. */
export class Responders {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Asks every responder to listen on this port too. */
  async ask(port: number): Promise<void> {
    await this.#redis.sadd(keys.acmePorts, port);
  }

  async asked(): Promise<number[]> {
    return (await this.#redis.smembers(keys.acmePorts)).map(Number);
  }

  /**
   * What one responder says of its ports: "ok", or why it cannot listen. Replaces what it said before. `since` is when
   * it began, milliseconds since the epoch.
   */
  async report(
    responder: string,
    states: ReadonlyMap<number, string>,
    now: number,
    since = now,
  ): Promise<void> {
    const pipeline = this.#redis
      .pipeline()
      .del(keys.responder(responder))
      .zadd(keys.responders, now, responder);
    pipeline.hset(keys.responder(responder), { ...Object.fromEntries(states), [SINCE]: String(since) });
    pipeline.expire(keys.responder(responder), HEARD);
    await execAll(pipeline);
  }

  /** When the responder that began last has begun, milliseconds since the epoch; 0 when there is none. */
  async latestStart(now: number): Promise<number> {
    return Math.max(0, ...(await this.#fields(SINCE, now)).map((since) => Number(since ?? 0)));
  }

  async leave(responder: string): Promise<void> {
    await execAll(this.#redis.pipeline().del(keys.responder(responder)).zrem(keys.responders, responder));
  }

  /** What each responder that is there says of this port; undefined while it has not tried yet. */
  async states(port: number, now: number): Promise<(string | undefined)[]> {
    return await this.#fields(String(port), now);
  }

  /** One field of each responder that is there. */
  async #fields(field: string, now: number): Promise<(string | undefined)[]> {
    await this.#redis.zremrangebyscore(keys.responders, "-inf", String(now - HEARD * 1_000));
    const responders = await this.#redis.zrange(keys.responders, "0", "-1");
    if (responders.length === 0) return [];
    const pipeline = this.#redis.pipeline();
    for (const responder of responders) pipeline.hget(keys.responder(responder), field);
    return (await execAll(pipeline)).map((state) => (typeof state === "string" ? state : undefined));
  }
}
