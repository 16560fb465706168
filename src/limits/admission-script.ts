import { NOW, Script } from "../store/script.ts";

/** Milliseconds for which a promised token is kept for an order: longer than Let's Encrypt keeps a pending order. */
export const HOLD_LIFE = 8 * 86_400_000;
/** Milliseconds after which the certificate that tries a broken account out counts as lost, and another may try. */
const PROBE_LIFE = 300_000;

/**
 * All that admission asks, in one round trip, as admission is one at a time: whether the certificate is still to be
 * ordered in this generation, whether its account is stopped, paused for one of its names, or broken, whether each
 * name may be validated, and a token of every bucket: all of them are held, or none is.
 *
 * A held token counts as spent now, until the CA has spent it (settleScript) or it is given back. A holder that comes
 * back, after a crash say, has what it has. An order that is there already has been paid for and is admitted in any
 * case.
 *
 * A certificate that waits for a bucket of a domain or a set of names goes into that bucket's waiting room, where
 * nobody overtakes: it is admitted when there are more tokens than certificates before it.
 *
 * KEYS: certificate, account stop, paused names, breaker, holding, rooms, room arrivals; for each bucket its state,
 * its holds, its room; for each name its window of validations.
 * ARGV: clock, generation, holder, priority, most failures, their window in ms, number of buckets, number of names;
 * for each bucket emission, burst, "limit:account:subject", "1" when it has a room; the names.
 * Returns {"ok", 1 when it stands as waiting}, {"drop"}, {"early"}, {"stopped"}, {"paused", name},
 * {"name", wait, name}, {"room", wait, bucket's number, those before it}, {"orders", wait} or {"broken", wait}.
 */
export const admitScript = new Script(
  "admit",
  `${NOW}
local generation, holder, priority = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local most, window, buckets, names = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local FIRST_BUCKET, FIRST_NAME = 7, 7 + 3 * buckets
local cur = redis.call('HMGET', KEYS[1], 'generation', 'status', 'orderUrl', 'room')
if not cur[1] or tonumber(cur[1]) > generation then return {'drop'} end
if tonumber(cur[1]) < generation then return {'early'} end
if cur[2] == 'paused' or cur[2] == 'removed' then return {'drop'} end
local waiting, inRoom = cur[2] == 'waiting' and 1 or 0, cur[4] or ''

local function bucketAt(i)
  local arg, key = 8 + 4 * (i - 1), FIRST_BUCKET + 3 * (i - 1)
  return { state = KEYS[key + 1], holds = KEYS[key + 2], room = KEYS[key + 3], field = ARGV[arg + 3],
    emission = tonumber(ARGV[arg + 1]), burst = tonumber(ARGV[arg + 2]), hasRoom = ARGV[arg + 4] == '1' }
end
local function leave()
  if inRoom == '' then return end
  redis.call('ZREM', inRoom, holder)
  redis.call('HDEL', KEYS[1], 'room')
  inRoom = ''
end
local function holdAll(isOrdered)
  for i = 1, buckets do
    local bucket = bucketAt(i)
    if bucket.hasRoom or not isOrdered then
      redis.call('ZADD', bucket.holds, now + ${HOLD_LIFE}, holder)
      redis.call('PEXPIRE', bucket.holds, ${HOLD_LIFE})
      redis.call('HSET', KEYS[5], bucket.field, bucket.emission)
    end
  end
  if buckets > 0 then redis.call('PEXPIRE', KEYS[5], ${HOLD_LIFE}) end
  leave()
  return {'ok', waiting}
end

-- Its newOrder is spent, unless the ledger was lost since.
if cur[3] and cur[3] ~= '' then return holdAll(redis.call('EXISTS', KEYS[5]) == 1) end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'stopped'} end
local longest, which, ahead, isName = 0, 0, 0, false
for i = 1, names do
  local name, key = ARGV[8 + 4 * buckets + i], KEYS[FIRST_NAME + i]
  if redis.call('HEXISTS', KEYS[3], name) == 1 then
    leave()
    return {'paused', name}
  end
  if most > 0 then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
    local places = redis.call('ZCARD', key)
    if places >= most and not redis.call('ZSCORE', key, holder) then
      local oldest = redis.call('ZRANGE', key, places - most, places - most, 'WITHSCORES')
      local wait = tonumber(oldest[2]) + window - now + 1
      if wait > longest then longest, which, isName = wait, i, true end
    end
  end
end

local orders, due = 0, 0
for i = 1, buckets do
  local bucket = bucketAt(i)
  if not redis.call('ZSCORE', bucket.holds, holder) then
    redis.call('ZREMRANGEBYSCORE', bucket.holds, '-inf', now)
    local before = 0
    if bucket.hasRoom then
      before = redis.call('ZRANK', bucket.room, holder)
        or redis.call('ZCOUNT', bucket.room, '-inf', '(' .. (priority + 1) * 1e12)
    end
    local empty = math.max(now, tonumber(redis.call('GET', bucket.state) or '0'))
      + (redis.call('ZCARD', bucket.holds) + 1) * bucket.emission - bucket.emission * bucket.burst - now
    local wait = empty + before * bucket.emission
    if not bucket.hasRoom then orders = math.max(orders, wait)
    elseif wait > longest then longest, which, isName, ahead, due = wait, i, false, before, now + math.max(0, empty) end
  end
end
if longest > 0 and isName then
  leave()
  return {'name', longest, ARGV[8 + 4 * buckets + which]}
end
if longest > 0 then
  local bucket = bucketAt(which)
  if inRoom ~= bucket.room or not redis.call('ZSCORE', bucket.room, holder) then
    -- Whoever changes rooms keeps the moment of arrival, or two busy domains would send it back and forth for ever.
    local score = inRoom ~= '' and redis.call('ZSCORE', inRoom, holder)
    leave()
    redis.call('ZADD', bucket.room, score or priority * 1e12 + redis.call('INCR', KEYS[7]), holder)
    redis.call('HSET', KEYS[1], 'room', bucket.room)
  end
  redis.call('ZADD', KEYS[6], 'LT', due, bucket.field)
  return {'room', longest, which, ahead}
end
if orders > 0 then return {'orders', orders} end

local breaker = redis.call('HMGET', KEYS[4], 'until', 'probe')
if breaker[1] and breaker[2] ~= holder then
  local wait = tonumber(breaker[1]) - now
  if wait > 0 then return {'broken', wait} end
  redis.call('HSET', KEYS[4], 'until', now + ${PROBE_LIFE}, 'probe', holder)
end
return holdAll()
`,
);
