import type { Redis } from "ioredis";
import { keys } from "./keys.ts";
import { execAll, NOW, Script } from "./script.ts";

/** A TXT record that was set for a challenge, or is about to be. */
export interface DnsOnRecord {
  provider: string;
  name: string;
  value: string;
  zone: string;
}

/** Milliseconds for which one process has what it has taken out to remove. */
const IN_HAND = 120_000;

/**
 * Takes out what is due, so that no other process does the same: it is due again later, should this one die.
 * KEYS: the records by when they are due. ARGV: clock, most, in hand for (ms).
 */
const takeScript = new Script(
  "take_dns_records",
  `${NOW}
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
for _, each in ipairs(due) do redis.call('ZADD', KEYS[1], now + ARGV[3], each) end
return due
`,
);

/**
 * Every TXT record that is not removed yet, by the moment at which it is: noted before it is set, so that whoever dies
 * in between leaves nothing in DNS for ever. All times in milliseconds since the epoch.
 */
export class DnsRecords {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Notes records, or puts off when they are to be removed. */
  async keep(records: readonly DnsOnRecord[], until: number): Promise<void> {
    if (records.length === 0) return;
    await this.#redis.zadd(keys.dnsRecords, ...records.flatMap((record) => [until, memberOf(record)]));
  }

  /** The same for records that are noted. False when one of them is not: it has been removed, or Redis was lost. */
  async prolong(records: readonly DnsOnRecord[], until: number): Promise<boolean> {
    const pipeline = this.#redis.pipeline();
    for (const record of records) pipeline.zadd(keys.dnsRecords, "XX", until, memberOf(record));
    for (const record of records) pipeline.zscore(keys.dnsRecords, memberOf(record));
    const results = await execAll(pipeline);
    return results.slice(records.length).every((score) => score !== null);
  }

  /** What is to be removed by `now`, for this process alone. */
  async take(most: number, now: number): Promise<DnsOnRecord[]> {
    const members = (await takeScript.run(this.#redis, [keys.dnsRecords], [now, most, IN_HAND])) as string[];
    return members.map(recordOf);
  }

  /** It is removed, or given up. */
  async forget(record: DnsOnRecord): Promise<void> {
    const member = memberOf(record);
    await execAll(this.#redis.pipeline().zrem(keys.dnsRecords, member).hdel(keys.dnsFailures, member));
  }

  /** Counts how often it could not be removed, this time included. */
  async failed(record: DnsOnRecord): Promise<number> {
    return await this.#redis.hincrby(keys.dnsFailures, memberOf(record), 1);
  }
}

function memberOf({ provider, name, value, zone }: DnsOnRecord): string {
  return JSON.stringify([provider, name, value, zone]);
}

function recordOf(member: string): DnsOnRecord {
  const [provider = "", name = "", value = "", zone = ""] = JSON.parse(member) as string[];
  return { provider, name, value, zone };
}
