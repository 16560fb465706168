import { NOW, Script } from "../store/script.ts";

/** What is asked of the CA and not answered yet, as fields beside the buckets in which an order holds a token. */
export const SENT = "sent";
export const FINALIZED = "finalized";

/**
 * Ends what an order holds: the CA has spent it ("spend"), or never will ("release"). What the CA was asked for and has
 * not answered may have been spent, and so counts as that: newOrder from "sent" on, the rest from "finalized" on. What
 * is not held any more is passed over, so repeating it changes nothing. A token that comes back may be somebody's in
 * the waiting room.
 *
 * KEYS: holding, prefixes of the buckets' states, of their holds and of their rooms, rooms.
 * ARGV: clock, holder, "spend", "release" or "lost" (spends what was sent, and nothing else), the one limit that this
 * is about ("" for all).
 */
export const settleScript = new Script(
  "settle",
  `${NOW}
local holder, how, only = ARGV[2], ARGV[3], ARGV[4]
local asked = redis.call('HMGET', KEYS[1], '${SENT}', '${FINALIZED}')
if how == 'lost' and not asked[1] then return end
local held = redis.call('HGETALL', KEYS[1])
for i = 1, #held, 2 do
  local field, emission = held[i], tonumber(held[i + 1])
  local isBucket = string.find(field, ':', 1, true)
  if isBucket and (only == '' or string.sub(field, 1, #only + 1) == only .. ':') then
    local isOrder = string.sub(field, 1, 10) == 'newOrders:'
    local spend = how == 'spend' or (isOrder and asked[1]) or (not isOrder and asked[2])
    redis.call('HDEL', KEYS[1], field)
    redis.call('ZREM', KEYS[3] .. field, holder)
    if spend then
      local tat = math.max(now, tonumber(redis.call('GET', KEYS[2] .. field) or '0')) + emission
      if tat > now then redis.call('SET', KEYS[2] .. field, tat, 'PX', tat - now) end
    elseif redis.call('EXISTS', KEYS[4] .. field) == 1 then
      redis.call('ZADD', KEYS[5], 'LT', now, field)
    end
  end
end
if only == '' then redis.call('DEL', KEYS[1]) else redis.call('HDEL', KEYS[1], '${SENT}') end
`,
);

/**
 * The CA has said when its next token is there. "1" drops what is held of it: those orders were not sent yet, or will
 * be spent all the same when the CA answers them, and the others have to ask again.
 *
 * KEYS: bucket's state, its holds, its room, rooms. ARGV: clock, emission, burst, wait in ms, drop, "limit:account:subject".
 */
export const exhaustScript = new Script(
  "exhaust",
  `${NOW}
local emission, burst, wait = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local tat = now + wait + emission * burst - emission
if tat > math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0')) then redis.call('SET', KEYS[1], tat, 'PX', tat - now) end
if ARGV[5] == '1' then redis.call('DEL', KEYS[2]) end
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('ZADD', KEYS[4], now + wait, ARGV[6]) end
`,
);

/**
 * One token of a bucket that nothing is held of. KEYS: bucket's state. ARGV: clock, emission, burst.
 * Returns the wait in ms, 0 when it was taken.
 */
export const takeScript = new Script(
  "take",
  `${NOW}
local emission, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0')) + emission
local wait = tat - emission * burst - now
if wait > 0 then return wait end
redis.call('SET', KEYS[1], tat, 'PX', tat - now)
return 0
`,
);

/**
 * Who in a waiting room may try now: as many from its head as there are tokens. They stay in the room until they are
 * admitted, so that a call which was lost is made again after a while. The next look is at the token after those.
 *
 * KEYS: bucket's state, its holds, its room, rooms. ARGV: clock, emission, burst, "limit:account:subject", most, again in ms.
 */
export const wakeScript = new Script(
  "wake",
  `${NOW}
local emission, burst, field, most = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local size = redis.call('ZCARD', KEYS[3])
if size == 0 then
  redis.call('ZREM', KEYS[4], field)
  return {}
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local held = redis.call('ZCARD', KEYS[2])
local tat = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
local tokens = math.max(0, math.floor((now + emission * burst - tat) / emission) - held)
local called = math.min(tokens, size, most)
local due = tat + (held + tokens + 1) * emission - emission * burst
if called < math.min(tokens, size) then due = now + 1000
elseif tokens >= size then due = now + tonumber(ARGV[6])
-- A call may be lost with the process that makes it.
elseif called > 0 then due = math.min(due, now + tonumber(ARGV[6])) end
redis.call('ZADD', KEYS[4], due, field)
return called > 0 and redis.call('ZRANGE', KEYS[3], 0, called - 1) or {}
`,
);
