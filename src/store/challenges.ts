import type { Redis } from "ioredis";
import { keys } from "./keys.ts";
import { execAll } from "./script.ts";

/** Seconds. A validation takes seconds; an answer that nobody asks for goes by itself. */
const LIFETIME = 86_400;

/** The answers to http-01 challenges (RFC 8555 §8.3): in Redis, so that any responder on any node can give them. */
export class Challenges {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async put(answers: readonly { token: string; keyAuthorization: string }[]): Promise<void> {
    const pipeline = this.#redis.pipeline();
    for (const { token, keyAuthorization } of answers)
      pipeline.set(keys.challenge(token), keyAuthorization, "EX", LIFETIME);
    await execAll(pipeline);
  }

  async get(token: string): Promise<string | undefined> {
    return (await this.#redis.get(keys.challenge(token))) ?? undefined;
  }

  async drop(tokens: readonly string[]): Promise<void> {
    if (tokens.length > 0) await this.#redis.del(...tokens.map(keys.challenge));
  }
}
