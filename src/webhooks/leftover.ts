import type { Clock } from "../core/clock.ts";
import { queueNames } from "../queue/names.ts";
import type { Producer } from "../queue/producer.ts";
import { keys } from "../store/keys.ts";
import type { Redis } from "../store/redis.ts";
import { execAll } from "../store/script.ts";

export interface LeftoverOptions {
  redis: Redis;
  producer: Producer;
  /** Those of the configuration. */
  hooks: readonly { name: string }[];
  clock: Clock;
  log: (line: string) => void;
}

/**
 * Takes away the queues of webhooks that no process has had in its configuration for `after` milliseconds, with what
 * was to be delivered. Another host may have others than this one: each says which it has, and is believed that long.
 * Who dies in between leaves the webhook on record, for the next one.
 */
export async function removeLeftovers(options: LeftoverOptions, after: number): Promise<void> {
  const { redis, producer, hooks, clock, log } = options;
  const now = clock.now();
  const pipeline = redis.pipeline();
  for (const { name } of hooks) pipeline.zadd(keys.webhookQueues, now, name);
  pipeline.zrangebyscore(keys.webhookQueues, "-inf", now - after);
  const gone = (await execAll(pipeline)).at(-1) as string[];
  for (const name of gone) {
    await producer.queue(queueNames.webhook(name)).obliterate({ force: true });
    await redis.zrem(keys.webhookQueues, name);
    log(`The webhook ${name} is not configured any more: what it was to be told is dropped.`);
  }
}
