import type { Redis } from "ioredis";
import { keys } from "./keys.ts";
import { Script } from "./script.ts";

/** Milliseconds after which a turn whose holder has died is free. */
const HELD = 10_000;
/** Milliseconds after which who has not asked again does not stand in line any more. */
const ASKING = 3_000;

/**
 * One at a time over all processes, first come, first served: who asks is noted with the moment of the first time, and
 * gets the turn when it is free and nobody who still asks has come before.
 *
 * KEYS: turn, who asks by the first time, who asks by the last time. ARGV: who, held for (ms), asking for (ms).
 * Returns 1 when it is his.
 */
const takeScript = new Script(
  "take_turn",
  `
local turn, since, last = KEYS[1], KEYS[2], KEYS[3]
local who, held, asking = ARGV[1], ARGV[2], tonumber(ARGV[3])
-- In microseconds, as two may ask within one millisecond.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local holder = redis.call('GET', turn)
if holder == who then
  redis.call('PEXPIRE', turn, held)
  return 1
end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', last, '-inf', now - asking * 1000)) do
  redis.call('ZREM', last, gone)
  redis.call('ZREM', since, gone)
end
redis.call('ZADD', since, 'NX', now, who)
redis.call('ZADD', last, now, who)
for _, key in ipairs({since, last}) do redis.call('PEXPIRE', key, 60000) end
if holder or redis.call('ZRANGE', since, 0, 0)[1] ~= who then return 0 end
redis.call('SET', turn, who, 'PX', held)
redis.call('ZREM', since, who)
redis.call('ZREM', last, who)
return 1
`,
);

/** KEYS: turn. ARGV: who. */
const giveScript = new Script(
  "give_turn",
  "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0",
);

/** What may be done by one process at a time: changing a node of a termination, say. */
export class Turns {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Asked again, it is kept for another 10 s, after which it lapses. */
  async take(what: string, who: string): Promise<boolean> {
    const result = await takeScript.run(
      this.#redis,
      [keys.turn(what), keys.turnAsked(what, "since"), keys.turnAsked(what, "last")],
      [who, HELD, ASKING],
    );
    return result === 1;
  }

  async give(what: string, who: string): Promise<void> {
    await giveScript.run(this.#redis, [keys.turn(what)], [who]);
  }
}
