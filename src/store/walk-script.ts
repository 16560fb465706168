import { Script } from "./script.ts";

/**
 * Walks on in a sorted set from a place in it, and picks those that stand in other sets too and have a name with a
 * part. A place is a score and an id, so that what comes and goes meanwhile moves nobody else over it. Names are
 * compared byte by byte, as Redis sorts them; Lua's own comparison goes by the locale.
 *
 * KEYS: the sorted set, other names, a sorted set that they have to stand in (the same one for none), a set of members
 * that they have to be (the same one for none).
 * ARGV: "asc" or "desc", score and id of the place to go on after ("" for the beginning), part of a name ("" for all),
 * what the id must not begin with ("" for nothing), most to pick, most to look at.
 * Returns {id of the last one looked at, "" at the end of the set, its score, id, score, …}.
 */
export const walkScript = new Script(
  "walk",
  `
local index, others, within, among = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local isUp, score, after, part, not_ = ARGV[1] == 'asc', ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local most, looks = tonumber(ARGV[6]), tonumber(ARGV[7])
local function isBefore(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
-- The ranks of the first one at or after the place, and of the first one after it.
local function around()
  local low = redis.call('ZCOUNT', index, '-inf', '(' .. score)
  local ends = low + redis.call('ZCOUNT', index, score, score)
  local high = ends
  while low < high do
    local middle = math.floor((low + high) / 2)
    if isBefore(redis.call('ZRANGE', index, middle, middle)[1], after) then low = middle + 1 else high = middle end
  end
  local isThere = low < ends and redis.call('ZRANGE', index, low, low)[1] == after
  return low, isThere and low + 1 or low
end
local from, to
if isUp then
  from = 0
  if after ~= '' then from = select(2, around()) end
  to = from + looks - 1
else
  to = redis.call('ZCARD', index) - 1
  if after ~= '' then to = (around()) - 1 end
  from = math.max(0, to - looks + 1)
end
if to < 0 then return {'', ''} end
local ids
if isUp then ids = redis.call('ZRANGE', index, from, to)
else
  local last = redis.call('ZCARD', index) - 1
  ids = redis.call('ZREVRANGE', index, last - to, last - from)
end
local count = #ids
-- A wildcard's id has _ where its name has *.
local idPart = string.gsub(part, '%*', '_')
local isInIds = part ~= '' and string.find(table.concat(ids, ' '), idPart, 1, true)
local texts = part ~= '' and count > 0 and redis.call('EXISTS', others) == 1 and redis.call('HMGET', others, unpack(ids))
local places = within ~= index and count > 0 and redis.call('ZMSCORE', within, unpack(ids))
local members = among ~= index and count > 0 and redis.call('SMISMEMBER', among, unpack(ids))
local function matches(n, id)
  if members and members[n] == 0 then return false end
  if places and not places[n] then return false end
  if not_ ~= '' and string.sub(id, 1, #not_) == not_ then return false end
  if part == '' or (isInIds and string.find(id, idPart, 1, true)) then return true end
  return texts and texts[n] and string.find(texts[n], part, 1, true)
end
local found = {'', ''}
local function stopAt(n)
  found[1], found[2] = ids[n], redis.call('ZSCORE', index, ids[n])
end
for n = 1, count do
  if matches(n, ids[n]) then
    found[#found + 1] = ids[n]
    found[#found + 1] = redis.call('ZSCORE', index, ids[n])
    if #found / 2 > most then
      stopAt(n)
      return found
    end
  end
end
local isEnd = isUp and count < looks or not isUp and from == 0
if not isEnd then stopAt(count) end
return found
`,
);
