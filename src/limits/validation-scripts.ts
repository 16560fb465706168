import { NOW, Script } from "../store/script.ts";

/** Seconds for which a row of failures is remembered: longer than anything that is tried once a day. */
const STREAK_LIFE = 60 * 86_400;

/**
 * Room for one more validation of every name, or of none: at most so many that are asked for or have failed in
 * the window. A holder that comes back (after a crash, say) keeps the place it has.
 *
 * KEYS: one sorted set a name. ARGV: clock, holder, most, window in ms.
 * Returns {0}, or {wait in ms, number of the name that has to wait the longest}.
 */
export const validationScript = new Script(
  "validation",
  `${NOW}
local holder, most, window = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local longest, which = 0, 0
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  if not redis.call('ZSCORE', key, holder) and redis.call('ZCARD', key) >= most then
    local place = redis.call('ZCARD', key) - most
    local oldest = redis.call('ZRANGE', key, place, place, 'WITHSCORES')
    local wait = tonumber(oldest[2]) + window - now + 1
    if wait > longest then longest, which = wait, i end
  end
end
if longest > 0 then return {longest, which} end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, 'NX', now, holder)
  redis.call('PEXPIRE', key, window + 1000)
end
return {0}
`,
);

/**
 * Validations have failed: their places count from now, and the names' rows of failures grow by one, once for each
 * holder. KEYS: for each name its window and its row of failures; the tally. ARGV: clock, holder, window in ms, what they
 * count as in the tally.
 */
export const failedScript = new Script(
  "failed_validation",
  `${NOW}
for i = 1, #KEYS - 1, 2 do
  if tonumber(ARGV[3]) > 0 then
    redis.call('ZADD', KEYS[i], now, ARGV[2])
    redis.call('PEXPIRE', KEYS[i], tonumber(ARGV[3]) + 1000)
  end
  if redis.call('HGET', KEYS[i + 1], 'last') ~= ARGV[2] then
    redis.call('HSET', KEYS[i + 1], 'last', ARGV[2])
    redis.call('HINCRBY', KEYS[i + 1], 'count', 1)
    redis.call('HSETNX', KEYS[i + 1], 'since', now)
    redis.call('EXPIRE', KEYS[i + 1], ${STREAK_LIFE})
    redis.call('HINCRBY', KEYS[#KEYS], ARGV[4], 1)
  end
end
`,
);

/**
 * Validations have succeeded: their places are free, their rows of failures end. Counted are those that had a place, as
 * the CA was asked for none of the others, or all of this was done before.
 *
 * KEYS: for each name its window and its row of failures; the tally. ARGV: holder, what they count as in the tally.
 */
export const passedScript = new Script(
  "passed_validation",
  `
local passed = 0
for i = 1, #KEYS - 1, 2 do
  passed = passed + redis.call('ZREM', KEYS[i], ARGV[1])
  redis.call('DEL', KEYS[i + 1])
end
if passed > 0 then redis.call('HINCRBY', KEYS[#KEYS], ARGV[2], passed) end
`,
);
