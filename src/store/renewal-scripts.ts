import { Script } from "./script.ts";
import { ADD_EVENT } from "./scripts.ts";

/**
 * Takes what is due for a look at its renewal, the longest overdue first: whoever takes it looks at it alone until
 * `until`, and then sets the next moment; where that process dies it is due again.
 *
 * KEYS: renewals. ARGV: now, most, until. Returns the ids.
 */
export const claimRenewalsScript = new Script(
  "claim_renewals",
  `
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(due) do redis.call('ZADD', KEYS[1], ARGV[3], id) end
return due
`,
);

/**
 * Notes when a leaf is to be renewed and looked at next, if it is still the newest one. KEYS: certificate, renewals,
 * events, the stream of all events, times of renewal. ARGV: id, serial, renewAt (ms), schedule (JSON), when it is looked at next (ms), when it
 * was revoked (ms, or ""), event (JSON, or "").
 */
export const noteRenewalScript = new Script(
  "note_renewal",
  `${ADD_EVENT}
local text = redis.call('HGET', KEYS[1], 'leaf')
local leaf = text and cjson.decode(text)
if not leaf or leaf.serial ~= ARGV[2] then return 0 end
leaf.renewAt = tonumber(ARGV[3])
if ARGV[6] ~= '' then leaf.revokedAt = tonumber(ARGV[6]) end
redis.call('HSET', KEYS[1], 'leaf', cjson.encode(leaf), 'schedule', ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
redis.call('ZADD', KEYS[5], ARGV[3], ARGV[1])
addEvent(KEYS[3], KEYS[4], ARGV[1], ARGV[7])
return 1
`,
);
