import { Script } from "../store/script.ts";

/**
 * Compares records with the sets that they have to stand in, and puts them there. Its own entries alone: what stands
 * where it should not is the other script's.
 *
 * KEYS: prefix of the certificates, all certificates, prefix of the status sets, renewals, serials, expiries, prefix of
 * the sets of those that wait, times of renewal.
 * ARGV: "1" to change nothing, the statuses as JSON, id, … Returns {id, what, …}.
 */
export const recordsScript = new Script(
  "reconcile_records",
  `
local dry, statuses = ARGV[1] == '1', {}
for _, status in ipairs(cjson.decode(ARGV[2])) do statuses[status] = true end
local function isWhole(text) return not text or (pcall(cjson.decode, text)) end
local found = {}
local function add(id, what) found[#found + 1] = id; found[#found + 1] = what end
for i = 3, #ARGV do
  local id = ARGV[i]
  local read, cur = pcall(redis.call, 'HMGET', KEYS[1] .. id, 'spec', 'status', 'leaf', 'nodes', 'error', 'reason')
  if not read then cur = {} end
  local spec, status, leaf = cur[1], cur[2], cur[3]
  if not spec or not status or not statuses[status]
    or not (isWhole(spec) and isWhole(leaf) and isWhole(cur[4]) and isWhole(cur[5])) then
    if redis.call('EXISTS', KEYS[1] .. id) == 1 then add(id, 'damaged') end
  else
    if not redis.call('ZSCORE', KEYS[2], id) then
      add(id, 'not_listed')
      if not dry then redis.call('ZADD', KEYS[2], 0, id) end
    end
    local reason = status == 'waiting' and cur[6]
    if not redis.call('ZSCORE', KEYS[3] .. status, id)
      or (reason and not redis.call('ZSCORE', KEYS[7] .. reason, id)) then
      add(id, 'wrong_status')
      if not dry then
        redis.call('ZADD', KEYS[3] .. status, 0, id)
        if reason then redis.call('ZADD', KEYS[7] .. reason, 0, id) end
      end
    end
    if leaf then
      leaf = cjson.decode(leaf)
      local isPlanned = redis.call('ZSCORE', KEYS[4], id)
      local renewAt = tonumber(redis.call('ZSCORE', KEYS[8], id) or '-1')
      if leaf.renewAt and (not isPlanned or renewAt ~= leaf.renewAt) then
        add(id, 'no_renewal')
        if not dry then
          redis.call('ZADD', KEYS[4], 'NX', leaf.renewAt, id)
          redis.call('ZADD', KEYS[8], leaf.renewAt, id)
        end
      end
      if leaf.notAfter and tonumber(redis.call('ZSCORE', KEYS[6], id) or '-1') ~= leaf.notAfter then
        add(id, 'no_expiry')
        if not dry then redis.call('ZADD', KEYS[6], leaf.notAfter, id) end
      end
      if leaf.serial and redis.call('HGET', KEYS[5], leaf.serial) ~= id then
        add(id, 'wrong_serial')
        if not dry then redis.call('HSET', KEYS[5], leaf.serial, id) end
      end
    end
  end
end
return found
`,
);

/**
 * Removes entries of one set whose certificate does not stand there any more.
 *
 * KEYS: prefix of the certificates, the set. ARGV: "1" to change nothing, "all", "status", "waiting", "renewals", "names"
 * or "serials", the status or what is waited for; id, … or, of serials, serial, id, …. Returns those that were, or would
 * be, removed.
 */
export const straysScript = new Script(
  "reconcile_strays",
  `
local dry, kind, status = ARGV[1] == '1', ARGV[2], ARGV[3]
local found = {}
for i = 4, #ARGV, kind == 'serials' and 2 or 1 do
  local member = ARGV[i]
  local id = kind == 'serials' and ARGV[i + 1] or member
  local read, cur = pcall(redis.call, 'HMGET', KEYS[1] .. id, 'spec', 'status', 'leaf', 'reason')
  if not read then cur = {} end
  local stays = cur[1] and true or false
  if kind == 'status' then stays = stays and cur[2] == status
  elseif kind == 'waiting' then stays = stays and cur[2] == 'waiting' and cur[4] == status
  elseif kind == 'renewals' then stays = stays and cur[3] and true or false
  elseif kind == 'serials' then
    local read, leaf = pcall(cjson.decode, cur[3] or 'null')
    stays = read and type(leaf) == 'table' and leaf.serial == member
  end
  -- It may have left the set since it was seen there.
  local isThere
  if kind == 'serials' then isThere = redis.call('HGET', KEYS[2], member) == id
  elseif kind == 'names' then isThere = redis.call('HEXISTS', KEYS[2], member) == 1
  else isThere = redis.call('ZSCORE', KEYS[2], member) end
  if isThere and not stays then
    found[#found + 1] = member
    if not dry then redis.call((kind == 'serials' or kind == 'names') and 'HDEL' or 'ZREM', KEYS[2], member) end
  end
end
return found
`,
);

/**
 * Jobs and places of one queue that do not belong together: a job that stands in no list of its queue is never taken
 * up, and keeps another one of its id from being added.
 *
 * KEYS: prefix of the queue's keys. ARGV: "1" to change nothing, job id, …. Returns {job id, "leaked" or "phantom", …}.
 */
export const jobsScript = new Script(
  "reconcile_jobs",
  `
local dry, base, found = ARGV[1] == '1', KEYS[1], {}
local lists, sets = {'wait', 'active', 'paused'}, {'prioritized', 'delayed', 'failed', 'completed', 'waiting-children'}
for i = 2, #ARGV do
  local id = ARGV[i]
  local exists = redis.call('EXISTS', base .. id) == 1
  local places = {}
  for _, name in ipairs(sets) do
    if redis.call('ZSCORE', base .. name, id) then places[#places + 1] = {'ZREM', name} end
  end
  for _, name in ipairs(lists) do
    if redis.call('LPOS', base .. name, id) then places[#places + 1] = {'LREM', name} end
  end
  if exists and #places == 0 and redis.call('EXISTS', base .. id .. ':lock') == 0 then
    found[#found + 1] = id; found[#found + 1] = 'leaked'
    if not dry then redis.call('DEL', base .. id, base .. id .. ':logs') end
  elseif not exists and #places > 0 then
    found[#found + 1] = id; found[#found + 1] = 'phantom'
    if not dry then
      for _, place in ipairs(places) do
        if place[1] == 'ZREM' then redis.call('ZREM', base .. place[2], id)
        else redis.call('LREM', base .. place[2], 0, id) end
      end
    end
  end
end
return found
`,
);

/**
 * Takes out of an import's open certificates those that do not keep it open any more. KEYS: prefix of the certificates,
 * the import's open set. ARGV: "1" to change nothing, the import's id, certificate's id, …. Returns the ids.
 */
export const openScript = new Script(
  "reconcile_open",
  `
local dry, import, found = ARGV[1] == '1', ARGV[2], {}
for i = 3, #ARGV do
  local openIn = redis.call('HGET', KEYS[1] .. ARGV[i], 'openIn') or ''
  -- It may have settled, and left the set with that, since it was found there.
  local isThere = redis.call('SISMEMBER', KEYS[2], ARGV[i]) == 1
  if isThere and not string.find(',' .. openIn .. ',', ',' .. import .. ',', 1, true) then
    found[#found + 1] = ARGV[i]
    if not dry then redis.call('SREM', KEYS[2], ARGV[i]) end
  end
end
return found
`,
);
