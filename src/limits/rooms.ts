import type { Redis } from "ioredis";
import { keys } from "../store/keys.ts";
import { execAll } from "../store/script.ts";
import { bucketOf } from "./buckets.ts";
import { wakeScript } from "./scripts.ts";
import type { CaLimits, OrderLimit } from "./table.ts";

/** Rooms looked at in one round, and certificates called from one room at once; the rest comes with the next round. */
const ROOMS = 100;
const CALLED = 100;
/** Milliseconds until a room is looked at again of which everybody was called: a call may have been lost. */
const AGAIN = 30_000;
/** Milliseconds until a certificate is called again that was still on its way into the room. */
const SOON = 500;

/** One certificate that may try again: "id#generation", and the room that it stands in. */
export interface Called {
  holder: string;
  room: string;
}

/**
 * The waiting rooms of one account: a room for each bucket that certificates wait for, and one sorted set that tells
 * which room is to be looked at when. No timers, and nothing is read but what is due.
 */
export class WaitingRooms {
  readonly #redis: Redis;
  readonly #account: string;
  readonly #limits: CaLimits;
  /** Redis's clock at the last look. */
  #now = 0;

  constructor(redis: Redis, account: string, limits: CaLimits) {
    this.#redis = redis;
    this.#account = account;
    this.#limits = limits;
  }

  /** Who may try now: as many of each room as its bucket has tokens, in their order. */
  async due(): Promise<Called[]> {
    const [seconds = 0, micros = 0] = (await this.#redis.time()).map(Number);
    this.#now = seconds * 1_000 + Math.floor(micros / 1_000);
    const due = await this.#redis.zrangebyscore(
      keys.rooms(this.#account),
      "-inf",
      String(this.#now),
      "LIMIT",
      0,
      ROOMS,
    );
    const called: Called[] = [];
    for (const room of due) {
      const [limit = "", , subject = ""] = room.split(":");
      const parts = [limit, this.#account, subject] as const;
      const { emission, burst } = bucketOf(this.#limits, limit as OrderLimit, subject);
      const holders = (await wakeScript.run(
        this.#redis,
        [keys.bucket(...parts), keys.holds(...parts), keys.room(...parts), keys.rooms(this.#account)],
        [0, emission, burst, room, CALLED, AGAIN],
      )) as string[];
      called.push(...holders.map((holder) => ({ holder, room })));
    }
    return called;
  }

  /** Nobody of that name waits any more. */
  async forget(called: readonly Called[]): Promise<void> {
    const pipeline = this.#redis.pipeline();
    for (const { holder, room } of called) pipeline.zrem(`${keys.family("room")}${room}`, holder);
    if (called.length > 0) await execAll(pipeline);
  }

  /** These rooms are to be looked at again in a moment. */
  async soon(called: readonly Called[]): Promise<void> {
    const pipeline = this.#redis.pipeline();
    for (const { room } of called) pipeline.zadd(keys.rooms(this.#account), "LT", this.#now + SOON, room);
    if (called.length > 0) await execAll(pipeline);
  }
}
