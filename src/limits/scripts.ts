import { Script } from "../store/script.ts";

/** Redis's clock in milliseconds: the one clock that all workers share. */
const NOW = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
`;

/**
 * One token from every bucket, or from none. The same arithmetic as gcra.ts.
 *
 * KEYS: the buckets. ARGV: emission, burst of each, in turn.
 * Returns {0} when taken, else {wait in ms, number of the bucket that is empty the longest}.
 */
export const takeScript = new Script(
  "take",
  `${NOW}
local tats, longest, which = {}, 0, 0
for i, key in ipairs(KEYS) do
  local emission, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local tat = math.max(now, tonumber(redis.call('GET', key) or '0')) + emission
  local wait = tat - emission * burst - now
  if wait > longest then longest, which = wait, i end
  tats[i] = tat
end
if longest > 0 then return {longest, which} end
for i, key in ipairs(KEYS) do redis.call('SET', key, tats[i], 'PX', math.max(1, tats[i] - now)) end
return {0}
`,
);

/** Gives one token back to each bucket. KEYS: the buckets. ARGV: emission of each. */
export const refundScript = new Script(
  "refund",
  `${NOW}
for i, key in ipairs(KEYS) do
  local tat = tonumber(redis.call('GET', key) or '0') - tonumber(ARGV[i])
  if tat > now then redis.call('SET', key, tat, 'PX', tat - now) else redis.call('DEL', key) end
end
`,
);

/** The CA has said when its next token is there. KEYS: the bucket. ARGV: emission, burst, wait in ms. */
export const exhaustScript = new Script(
  "exhaust",
  `${NOW}
local emission, burst, wait = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = now + wait + emission * burst - emission
if tat > math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0')) then redis.call('SET', KEYS[1], tat, 'PX', tat - now) end
`,
);

/**
 * Room for one more validation of every name, or of none: at most so many that are asked for or have failed in
 * the window. A holder that comes back (after a crash, say) keeps the place it has.
 *
 * KEYS: one sorted set a name. ARGV: holder, most, window in ms, hold ("1") or only look ("0").
 * Returns {0}, or {wait in ms, number of the name that has to wait the longest}.
 */
export const validationScript = new Script(
  "validation",
  `${NOW}
local holder, most, window, hold = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
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
if hold == '1' then
  for _, key in ipairs(KEYS) do
    redis.call('ZADD', key, 'NX', now, holder)
    redis.call('PEXPIRE', key, window + 1000)
  end
end
return {0}
`,
);

/** A validation has failed: its place counts from now. KEYS: one sorted set a name. ARGV: holder, window in ms. */
export const failedScript = new Script(
  "failed_validation",
  `${NOW}
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, now, ARGV[1])
  redis.call('PEXPIRE', key, tonumber(ARGV[2]) + 1000)
end
`,
);

/**
 * All that admission asks, in one round trip, as admission is one at a time: whether the certificate is still to be
 * ordered in this generation, whether its account is stopped, whether each of its names may be validated, and one
 * token of the account's new orders. An order that is there already, as after a crash, has been paid for.
 *
 * KEYS: certificate, account stop, bucket of new orders, prefix of the windows of validations.
 * ARGV: generation, holder, most failures, window in ms, emission, burst (0: no such limit).
 * Returns {"ok", tokens spent, 1 when it stands as waiting}, {"drop"}, {"early"}, {"stopped"}, {"name", wait in ms, name} or {"orders", wait in ms}.
 */
export const admitScript = new Script(
  "admit",
  `${NOW}
local generation, holder, most, window = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local emission, burst = tonumber(ARGV[5]), tonumber(ARGV[6])
local cur = redis.call('HMGET', KEYS[1], 'generation', 'status', 'spec', 'orderUrl')
if not cur[1] or tonumber(cur[1]) > generation then return {'drop'} end
if tonumber(cur[1]) < generation then return {'early'} end
if cur[2] == 'paused' or cur[2] == 'removed' then return {'drop'} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'stopped'} end
local waiting = cur[2] == 'waiting' and 1 or 0
if cur[4] and cur[4] ~= '' then return {'ok', 0, waiting} end
local longest, which = 0, ''
if most > 0 then
  for _, name in ipairs(cjson.decode(cur[3]).names) do
    local key = KEYS[4] .. name
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
    local places = redis.call('ZCARD', key)
    if places >= most and not redis.call('ZSCORE', key, holder) then
      local oldest = redis.call('ZRANGE', key, places - most, places - most, 'WITHSCORES')
      local wait = tonumber(oldest[2]) + window - now + 1
      if wait > longest then longest, which = wait, name end
    end
  end
end
if longest > 0 then return {'name', longest, which} end
if burst > 0 then
  local tat = math.max(now, tonumber(redis.call('GET', KEYS[3]) or '0')) + emission
  local wait = tat - emission * burst - now
  if wait > 0 then return {'orders', wait} end
  redis.call('SET', KEYS[3], tat, 'PX', tat - now)
end
return {'ok', 1, waiting}
`,
);
