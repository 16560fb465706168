import { OBTAINED_SLOT, OBTAINED_SLOTS } from "./pace.ts";
import { Script } from "./script.ts";
import { STAGE_BUCKETS } from "./stage-times.ts";

/** Adds to a certificate's events, and to the stream of all; there with the status that it has come to, if it has. */
export const ADD_EVENT = `
local function addEvent(events, stream, id, event, status)
  if event == '' then return end
  redis.call('LPUSH', events, event)
  redis.call('LTRIM', events, 0, 99)
  redis.call('XADD', stream, 'MAXLEN', '~', 10000, '*', 'id', id, 'event', event, 'status', status or '')
end
`;

/** Counts how long a certificate was in a stage, in milliseconds; each in the first bucket that it fits into. */
const NOTE_TIME = `
local function noteTime(times, stage, took)
  for _, most in ipairs({${STAGE_BUCKETS.join(", ")}}) do
    if took <= most * 1000 then redis.call('HINCRBY', times, stage .. ':' .. most, 1) break end
  end
  redis.call('HINCRBY', times, stage .. ':count', 1)
  redis.call('HINCRBY', times, stage .. ':sum', took)
end
`;

/** Counts in the tally (tally.ts). The account is "" where the certificate goes to the first one of the configuration. */
const COUNT = `
local function count(tally, what, cert, rest)
  local cur = redis.call('HMGET', cert, 'account', 'spec')
  local account = cur[1] or (cur[2] and cjson.decode(cur[2]).ca) or ''
  redis.call('HINCRBY', tally, what .. '|' .. string.gsub(account, '|', '_') .. (rest or ''), 1)
end
`;

/**
 * Takes one row of an import, or one single enqueue, into the index. Decides again what the row means, as another
 * import may have come between: new, reorder (other names, or another CA while it is on its way), retry (it stood still for a failure), updated (mail or
 * ports only), deploy (its certificate is there, and only its deployment had failed, or it is wanted at another port), unchanged.
 *
 * KEYS: certificate, all certificates, prefix of the status sets, the import's open set (or ""), prefix of the sets of
 * those that wait, other names.
 * ARGV: id, names key, spec, import id (or ""), now (ms), force ("1": order again whatever the status), the account
 * that it is ordered with, where that is not the one it asks for, the serial of the leaf that is to be renewed, or "":
 * then nothing is done where that is not the one in use any more, or is on its way, or was stopped; and what was asked
 * for stays as it stands; what else it is found by (see `otherNames`).
 * Returns {action, generation, 1 when there is a certificate already, the account that it was ordered with before}.
 */
export const acceptScript = new Script(
  "accept",
  `
local cert, all, statusPrefix, open = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, namesKey, spec, import, now, force = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local cur = redis.call('HMGET', cert, 'namesKey', 'spec', 'status', 'reason', 'generation', 'openIn', 'room', 'leaf', 'account')
local status, reason = cur[3], cur[4]
local function await()
  if import ~= '' and redis.call('SADD', open, id) == 1 then
    redis.call('HSET', cert, 'openIn', (cur[6] and cur[6] ~= '' and cur[6] .. ',' or '') .. import)
  end
end
local issued = cur[8] and cjson.decode(cur[8]).generation == tonumber(cur[5] or '0')
local moving = status and not (issued or status == 'issued' or status == 'serving' or status == 'paused' or status == 'removed')
if ARGV[8] ~= '' then
  local stands = moving and (status == 'attention' or (status == 'waiting' and reason ~= 'limit'))
  local renewable = status and status ~= 'paused' and status ~= 'removed' and (not moving or stands)
  if not renewable or not cur[8] or cjson.decode(cur[8]).serial ~= ARGV[8] then
    return {'unchanged', tonumber(cur[5] or '0'), cur[8] and 1 or 0, ''}
  end
  spec, namesKey = cur[2], cur[1]
end
local action
if not status or status == 'removed' then action = 'new'
elseif cur[1] ~= namesKey then action = 'reorder'
elseif cur[2] ~= spec and moving and cjson.decode(cur[2]).ca ~= cjson.decode(spec).ca then action = 'reorder'
elseif force == '1' then action = 'retry'
elseif status == 'attention' or (status == 'waiting' and reason ~= 'limit') then action = issued and 'deploy' or 'retry'
elseif cur[2] ~= spec then
  -- What is in use, and is wanted at another port, is on its way again.
  local rests = cur[8] and (status == 'issued' or status == 'serving')
  action = rests and cjson.decode(cur[2]).vipPort ~= cjson.decode(spec).vipPort and 'deploy' or 'updated'
else action = 'unchanged' end
local generation = tonumber(cur[5] or '0')
if action == 'unchanged' or action == 'updated' then
  if action == 'updated' then redis.call('HSET', cert, 'spec', spec) end
  if moving or status == 'deploying' then await() end
  return {action, generation, cur[8] and 1 or 0, ''}
end
if action == 'deploy' then
  local leaf = cjson.decode(cur[8])
  leaf.generation = generation
  redis.call('HSET', cert, 'spec', spec, 'status', 'deploying', 'since', now, 'leaf', cjson.encode(leaf))
  redis.call('HDEL', cert, 'reason', 'detail', 'until', 'error')
  local nodes = cjson.decode(redis.call('HGET', cert, 'nodes') or '{}')
  for _, state in pairs(nodes) do state.refused = nil end
  redis.call('HSET', cert, 'nodes', cjson.encode(nodes))
  redis.call('ZREM', statusPrefix .. status, id)
  if status == 'waiting' and reason then redis.call('ZREM', KEYS[5] .. reason, id) end
  redis.call('ZADD', statusPrefix .. 'deploying', 0, id)
  await()
  return {action, generation, 1, ''}
end
if cur[7] and cur[7] ~= '' then redis.call('ZREM', cur[7], id .. '#' .. generation) end
generation = generation + 1
if status then redis.call('ZREM', statusPrefix .. status, id) end
if status == 'waiting' and reason then redis.call('ZREM', KEYS[5] .. reason, id) end
if action ~= 'retry' then
  if ARGV[9] == '' then redis.call('HDEL', KEYS[6], id) else redis.call('HSET', KEYS[6], id, ARGV[9]) end
end
redis.call('ZADD', all, 0, id)
redis.call('ZADD', statusPrefix .. 'queued', 0, id)
redis.call('HDEL', cert, 'reason', 'detail', 'until', 'error', 'orderUrl', 'room', 'account', 'checkedAt')
if ARGV[7] ~= '' then redis.call('HSET', cert, 'account', ARGV[7]) end
redis.call('HSET', cert, 'spec', spec, 'namesKey', namesKey, 'status', 'queued', 'attempts', 0,
  'generation', generation, 'acceptedAt', now, 'since', now)
if import ~= '' then redis.call('HSET', cert, 'import', import)
elseif action ~= 'retry' then redis.call('HDEL', cert, 'import') end
await()
return {action, generation, cur[8] and 1 or 0, cur[9] or ''}
`,
);

/** Counts a leaf that was obtained, and forgets the counts of more than a day ago. */
const COUNT_OBTAINED = `
local function countObtained(obtained)
  local slot = math.floor(redis.call('TIME')[1] / ${OBTAINED_SLOT / 1_000})
  if redis.call('HINCRBY', obtained, string.format('%d', slot), 1) > 1 then return end
  for _, known in ipairs(redis.call('HKEYS', obtained)) do
    if tonumber(known) < slot - ${OBTAINED_SLOTS} then redis.call('HDEL', obtained, known) end
  end
end
`;

/**
 * Moves a certificate to another status, fenced by its generation: work that was overtaken by a newer order
 * changes nothing. When the new status settles it, it leaves the open sets of the imports that wait for it.
 *
 * KEYS: certificate, prefix of the status sets, events, the stream of all events, prefix of the imports, renewals,
 * serials, expiries, times in each stage, prefix of the sets of those that wait, times of renewal, what was obtained, the
 * tally.
 * ARGV: id, generation, settled ("1"), event (JSON), status, the code of what has failed (or ""), field, value, …
 * ("" deletes the field), "resume" or "".
 * Returns {"stale"} or {"ok", "1" when the digest of an import is to tell of it, import that ended, …}.
 */
export const transitionScript = new Script(
  "transition",
  `${ADD_EVENT}${NOTE_TIME}${COUNT}${COUNT_OBTAINED}
local cert, statusPrefix, events, stream, importPrefix = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, generation, settled, event = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local cur = redis.call('HMGET', cert, 'generation', 'status', 'openIn', 'room', 'leaf', 'since', 'reason')
if cur[1] ~= generation then return {'stale'} end
local status, reason = ARGV[5], ''
-- What a person has stopped, or what is there, is not moved back by work that was still going on.
local moving = status == 'queued' or status == 'waiting' or status == 'checking' or status == 'ordering'
  or status == 'validating' or status == 'finalizing'
local stopped = cur[2] == 'paused' or cur[2] == 'removed'
if stopped and status ~= 'paused' and status ~= 'removed' and ARGV[#ARGV] ~= 'resume' then return {'stale'} end
if moving and (cur[2] == 'issued' or cur[2] == 'serving') then return {'stale'} end
if moving and status ~= 'waiting' and cur[5] and cjson.decode(cur[5]).generation == tonumber(generation) then
  return {'stale'}
end
-- Whoever needs no token any more frees the place in the waiting room.
if not moving and cur[4] and cur[4] ~= '' then
  redis.call('ZREM', cur[4], id .. '#' .. generation)
  redis.call('HDEL', cert, 'room')
end
if ARGV[6] ~= '' then count(KEYS[13], 'failures', cert, '|' .. cur[2] .. '|' .. ARGV[6]) end
for i = 7, #ARGV - 1, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', cert, ARGV[i]) else redis.call('HSET', cert, ARGV[i], ARGV[i + 1]) end
  if ARGV[i] == 'reason' then reason = ARGV[i + 1] end
  if ARGV[i] == 'leaf' then
    local leaf, before = cjson.decode(ARGV[i + 1]), cur[5] and cjson.decode(cur[5]).serial
    if before == leaf.serial then
      -- Noted anew: what was planned for it, or done to it, since the caller looked stays.
      local known = cjson.decode(cur[5])
      leaf.renewAt, leaf.revokedAt = known.renewAt, known.revokedAt
      redis.call('HSET', cert, 'leaf', cjson.encode(leaf))
      redis.call('ZADD', KEYS[6], 'NX', leaf.renewAt, id)
    else
      -- What was suggested for the one before is not for this one.
      count(KEYS[13], 'issued', cert)
      redis.call('ZADD', KEYS[6], leaf.renewAt, id)
      redis.call('HDEL', cert, 'schedule')
      countObtained(KEYS[12])
      if before then redis.call('HDEL', KEYS[7], before) end
    end
    redis.call('HSET', KEYS[7], leaf.serial, id)
    redis.call('ZADD', KEYS[8], leaf.notAfter, id)
    redis.call('ZADD', KEYS[11], leaf.renewAt, id)
  end
  if ARGV[i] == 'schedule' and ARGV[i + 1] ~= '' then
    local pollAt = cjson.decode(ARGV[i + 1]).pollAt
    if pollAt then redis.call('ZADD', KEYS[6], 'LT', pollAt, id) end
  end
end
redis.call('HSET', cert, 'status', status)
if cur[2] == 'waiting' and cur[7] and (status ~= 'waiting' or reason ~= cur[7]) then
  redis.call('ZREM', KEYS[10] .. cur[7], id)
end
if status == 'waiting' and reason ~= '' then redis.call('ZADD', KEYS[10] .. reason, 0, id) end
if cur[2] ~= status then
  redis.call('ZREM', statusPrefix .. cur[2], id)
  redis.call('ZADD', statusPrefix .. status, 0, id)
  local clock = redis.call('TIME')
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  if cur[6] then noteTime(KEYS[9], cur[2], math.max(0, now - tonumber(cur[6]))) end
  redis.call('HSET', cert, 'since', now)
end
addEvent(events, stream, id, event, status)
local ended = {'ok', '0'}
if settled == '1' and cur[3] and cur[3] ~= '' then
  redis.call('HDEL', cert, 'openIn')
  for import in string.gmatch(cur[3], '[^,]+') do
    local key = importPrefix .. import
    -- A digest that has gone tells nothing more.
    if redis.call('HGET', key, 'told') ~= '1' then ended[2] = '1' end
    redis.call('SREM', key .. ':open', id)
    redis.call('HINCRBY', key, 'settled:' .. status, 1)
    if redis.call('SCARD', key .. ':open') == 0 and redis.call('HGET', key, 'read') == '1'
      and redis.call('HSETNX', key, 'ended', '1') == 1 then ended[#ended + 1] = import end
  end
end
return ended
`,
);

/**
 * Records the order of a generation, once: the first caller's URL stands, and a second one, resumed beside it,
 * goes on with that order instead of its own. So no generation ever has two orders finalized.
 *
 * KEYS: certificate, the tally. ARGV: generation, order URL. Returns the URL that stands, or "" when overtaken.
 */
export const claimOrderScript = new Script(
  "claim_order",
  `${COUNT}
local cur = redis.call('HMGET', KEYS[1], 'generation', 'orderUrl')
if cur[1] ~= ARGV[1] then return '' end
if cur[2] and cur[2] ~= '' then return cur[2] end
redis.call('HSET', KEYS[1], 'orderUrl', ARGV[2])
count(KEYS[2], 'orders', KEYS[1])
return ARGV[2]
`,
);

/** Forgets the order of a generation, if it is still that one. KEYS: certificate. ARGV: generation, order URL. */
export const dropOrderScript = new Script(
  "drop_order",
  `
local cur = redis.call('HMGET', KEYS[1], 'generation', 'orderUrl')
if cur[1] == ARGV[1] and cur[2] == ARGV[2] then return redis.call('HDEL', KEYS[1], 'orderUrl') end
return 0
`,
);

/** Starts the next generation of a certificate that is to be tried again by itself. KEYS: certificate. ARGV: generation. */
export const nextGenerationScript = new Script(
  "next_generation",
  `
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'orderUrl')
return redis.call('HINCRBY', KEYS[1], 'generation', 1)
`,
);

/**
 * Notes what one node serves under a certificate's names; where it was deployed for another port before, that port is
 * kept in mind, to be left. Without a state: that the node has let go of it under `port` ("" for all).
 *
 * KEYS: certificate, events, the stream of all events. ARGV: id, node, state (JSON, or ""), event (JSON, or ""), port.
 */
export const noteNodeScript = new Script(
  "note_node",
  `${ADD_EVENT}
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local nodes = cjson.decode(redis.call('HGET', KEYS[1], 'nodes') or '{}')
local before, port = nodes[ARGV[2]], tonumber(ARGV[5])
local leaves = {}
local function leave(left)
  for _, known in ipairs(leaves) do if known == left then return end end
  leaves[#leaves + 1] = left
end
local state
if ARGV[3] ~= '' then state = cjson.decode(ARGV[3])
elseif before and port and before.vipPort ~= port then state = before end
if state and before then
  for _, left in ipairs(before.leaves or {}) do
    if left ~= state.vipPort and left ~= port then leave(left) end
  end
  if before.vipPort ~= state.vipPort then leave(before.vipPort) end
end
if not state and port and before and before.leaves then
  -- It is gone from its present port, and still stands under an earlier one.
  for _, left in ipairs(before.leaves) do if left ~= port then leave(left) end end
  if leaves[1] then
    state = {ok = false, at = before.at, vipPort = table.remove(leaves, 1)}
  end
end
if state then state.leaves = leaves[1] and leaves or nil end
nodes[ARGV[2]] = state
redis.call('HSET', KEYS[1], 'nodes', cjson.encode(nodes))
addEvent(KEYS[2], KEYS[3], ARGV[1], ARGV[4])
return 1
`,
);

/**
 * Forgets a removed certificate. KEYS: certificate, all, removed, renewals, events, serials, expiries, times of renewal,
 * other names. ARGV: id, generation.
 */
export const forgetScript = new Script(
  "forget",
  `
local cur = redis.call('HMGET', KEYS[1], 'generation', 'status', 'leaf')
if cur[1] ~= ARGV[2] or cur[2] ~= 'removed' then return 0 end
if cur[3] then redis.call('HDEL', KEYS[6], cjson.decode(cur[3]).serial) end
for i = 2, 4 do redis.call('ZREM', KEYS[i], ARGV[1]) end
for i = 7, 8 do redis.call('ZREM', KEYS[i], ARGV[1]) end
redis.call('HDEL', KEYS[9], ARGV[1])
return redis.call('DEL', KEYS[1], KEYS[5])
`,
);
