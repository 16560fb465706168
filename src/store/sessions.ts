import { createHash, randomBytes } from "node:crypto";
import { keys } from "./keys.ts";
import type { Redis } from "./redis.ts";

/** Milliseconds: a session that is in use is written anew at most as often. */
const TOUCH = 60_000;
const ID_BYTES = 32;

export interface SessionTimes {
  /** Milliseconds without use after which it ends, and after which it ends in any case. */
  idle: number;
  most: number;
}

/** Whose it is. No token, and nothing that one could be made of. */
export interface SessionOwner {
  /** The caller's id, and the mark of the token that began it. */
  id: string;
  mark: string;
}

export interface Session extends SessionOwner {
  /** Milliseconds since the epoch: when it ends, unless it is used before. */
  expiresAt: number;
}

interface Stored extends SessionOwner {
  begun: number;
  seen: number;
}

/**
 * Browsers' sessions, under the SHA-256 of what the cookie holds: whoever reads Redis cannot use one. Redis ends them.
 */
export class Sessions {
  readonly #redis: Redis;
  readonly #times: SessionTimes;

  constructor(redis: Redis, times: SessionTimes) {
    this.#redis = redis;
    this.#times = times;
  }

  /** Returns the secret for the cookie. */
  async begin({ id, mark }: SessionOwner, now: number): Promise<string> {
    const secret = randomBytes(ID_BYTES).toString("base64url");
    const stored: Stored = { id, mark, begun: now, seen: now };
    await this.#redis.set(keyOf(secret), JSON.stringify(stored), "PX", this.#left(stored, now));
    return secret;
  }

  /** The session, which counts as used now; undefined when there is none, or none any more. */
  async use(secret: string, now: number): Promise<Session | undefined> {
    const text = await this.#redis.get(keyOf(secret));
    if (text === null) return undefined;
    const stored = JSON.parse(text) as Stored;
    const left = this.#left(stored, now);
    if (left <= 0) return undefined;
    if (now - stored.seen >= Math.min(TOUCH, this.#times.idle / 2)) {
      stored.seen = now;
      // XX, as one that was ended meanwhile is not to come back.
      await this.#redis.set(keyOf(secret), JSON.stringify(stored), "PX", this.#left(stored, now), "XX");
    }
    return { id: stored.id, mark: stored.mark, expiresAt: now + this.#left(stored, now) };
  }

  /** Whether it has not ended. To look is not to use it. */
  async isThere(secret: string): Promise<boolean> {
    return (await this.#redis.exists(keyOf(secret))) === 1;
  }

  async end(secret: string): Promise<void> {
    await this.#redis.del(keyOf(secret));
  }

  /** Milliseconds, by the settings of today. */
  #left({ begun, seen }: Stored, now: number): number {
    const { idle, most } = this.#times;
    return Math.min(seen + idle, begun + most) - now;
  }
}

function keyOf(secret: string): string {
  return keys.session(createHash("sha256").update(secret).digest("hex"));
}
