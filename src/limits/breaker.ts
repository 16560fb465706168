import type { Redis } from "ioredis";
import { keys } from "../store/keys.ts";
import { NOW, Script } from "../store/script.ts";

export interface BreakerPolicy {
  /** Failures of one kind in a row after which nothing more is tried. */
  after: number;
  /** Milliseconds until one certificate tries again, after the first such try, the second, …; the last repeats. */
  probe: readonly number[];
}

/**
 * 20 in a row is no list of bad rows any more, as what is checked beforehand seldom fails at the CA at all. The first
 * tries come soon, as most outages are short.
 */
export const BREAKER: BreakerPolicy = { after: 20, probe: [30_000, 60_000, 120_000, 300_000] };

/** Milliseconds after which a CA whose breaker is open counts as out of service: a short outage is waited out. */
export const OUT_OF_SERVICE = 600_000;

/**
 * What a failure says is broken: the CA, or the way on which it comes to validate. A success of the one tells nothing
 * of the other.
 */
export type BreakerScope = "ca" | "validation";

export interface BreakerState {
  scope: BreakerScope;
  /** The error's code. */
  code: string;
  detail: string;
  /** Failures in a row. */
  count: number;
  /** When it opened, and when the next certificate may try; milliseconds since the epoch. */
  since: number;
  until: number;
}

/**
 * KEYS: breaker. ARGV: clock, holder, kind ("scope:group"), detail, most, code, the delays in ms.
 * Returns 1 when this failure has opened it. While it is open only the certificate that tries counts; what ends
 * otherwise than the others did tells nothing, and the next one tries soon.
 */
const failedScript = new Script(
  "breaker_failed",
  `${NOW}
local holder, kind, most = ARGV[2], ARGV[3], tonumber(ARGV[5])
local cur = redis.call('HMGET', KEYS[1], 'kind', 'until', 'probe', 'tries')
if cur[2] then
  if cur[1] == kind then redis.call('HINCRBY', KEYS[1], 'count', 1) end
  if cur[3] == holder then
    local tries = tonumber(cur[4]) + (cur[1] == kind and 1 or 0)
    local delay = tonumber(ARGV[math.min(6 + tries, #ARGV)])
    redis.call('HDEL', KEYS[1], 'probe')
    redis.call('HSET', KEYS[1], 'until', now + delay, 'tries', tries)
  end
  return 0
end
local count = 1
if cur[1] == kind then count = redis.call('HINCRBY', KEYS[1], 'count', 1)
else redis.call('HSET', KEYS[1], 'kind', kind, 'count', 1) end
if count < most then
  redis.call('EXPIRE', KEYS[1], 86400)
  return 0
end
redis.call('PERSIST', KEYS[1])
redis.call('HSET', KEYS[1], 'detail', ARGV[4], 'code', ARGV[6], 'since', now, 'until', now + tonumber(ARGV[7]), 'tries', 1)
return 1
`,
);

/** KEYS: breaker. ARGV: clock, holder, delay in ms. */
const endedScript = new Script(
  "breaker_ended",
  `${NOW}
if redis.call('HGET', KEYS[1], 'probe') ~= ARGV[2] then return end
redis.call('HDEL', KEYS[1], 'probe')
redis.call('HSET', KEYS[1], 'until', now + tonumber(ARGV[3]))
`,
);

/** KEYS: breaker. ARGV: scope. Returns 1 when that has closed it. A validation that passed tells that the CA works, too. */
const passedScript = new Script(
  "breaker_passed",
  `
local cur = redis.call('HMGET', KEYS[1], 'kind', 'until')
if not cur[1] or (ARGV[1] == 'ca' and string.sub(cur[1], 1, 3) ~= 'ca:') then return 0 end
redis.call('DEL', KEYS[1])
return cur[2] and 1 or 0
`,
);

/**
 * The circuit breaker of one CA account, shared by all workers: after so many failures of one kind in a row nothing
 * more is admitted, as a broken firewall must not use up the failures of thousands of names. Then one certificate at a
 * time finds out when it is over. That is decided in admission (admission-script.ts).
 */
export class Breaker {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #policy: BreakerPolicy;

  constructor(redis: Redis, account: string, policy: BreakerPolicy = BREAKER) {
    this.#redis = redis;
    this.#key = keys.breaker(account);
    this.#policy = policy;
  }

  /** True when this was the failure that opened it. Failures of one group are of one kind, whatever their code. */
  async failed(
    holder: string,
    { scope, group, code, detail }: { scope: BreakerScope; group: string; code: string; detail: string },
  ): Promise<boolean> {
    const { after, probe } = this.#policy;
    const args = [0, holder, `${scope}:${group}`, detail, after, code, ...probe];
    return (await failedScript.run(this.#redis, [this.#key], args)) === 1;
  }

  /** It ended in a way that tells nothing; if it was the one that tries, another one is to try soon. */
  async ended(holder: string): Promise<void> {
    await endedScript.run(this.#redis, [this.#key], [0, holder, this.#policy.probe[0] ?? 0]);
  }

  /** True when it was open, and is closed now. */
  async passed(scope: BreakerScope): Promise<boolean> {
    return (await passedScript.run(this.#redis, [this.#key], [scope])) === 1;
  }

  /** Undefined while it is closed. */
  async state(): Promise<BreakerState | undefined> {
    const hash = await this.#redis.hgetall(this.#key);
    if (hash.until === undefined) return undefined;
    const [scope = "ca"] = (hash.kind ?? "").split(":");
    return {
      scope: scope as BreakerScope,
      code: hash.code ?? "",
      detail: hash.detail ?? "",
      count: Number(hash.count),
      since: Number(hash.since),
      until: Number(hash.until),
    };
  }

  /** A person has mended it. */
  async close(): Promise<void> {
    await this.#redis.del(this.#key);
  }
}
