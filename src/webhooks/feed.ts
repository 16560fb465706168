import type { Webhook } from "../config/webhooks.ts";
import type { Clock } from "../core/clock.ts";
import type { WebhookJob } from "../queue/names.ts";
import type { Producer } from "../queue/producer.ts";
import { compareIds, type EventStream, kindOf, type StreamedEvent } from "../store/event-stream.ts";
import { keys } from "../store/keys.ts";
import type { Redis } from "../store/redis.ts";

/** Events read at once. */
const BATCH = 500;
/** Milliseconds: what is older is of no use to anybody. */
const OLDEST = 86_400_000;

export interface FeedOptions {
  redis: Redis;
  stream: EventStream;
  producer: Producer;
  hooks: readonly Webhook[];
  clock: Clock;
  log: (line: string) => void;
}

/**
 * Makes a job of each event that a webhook is to be told, from where the last turn ended. For one process at a time.
 * One that dies in between leaves jobs that are added again under the same ids.
 */
export async function feed(options: FeedOptions, mayGoOn: () => Promise<boolean>): Promise<void> {
  const { redis, stream } = options;
  let cursor = await cursorOf(options);
  for (;;) {
    const events = await stream.after(cursor, BATCH);
    const last = events.at(-1);
    if (last === undefined || !(await mayGoOn())) return;
    await addJobs(options, events);
    cursor = last.id;
    await redis.set(keys.webhookCursor, cursor);
  }
}

/** At the first start: from now on. */
async function cursorOf({ redis, stream, log }: FeedOptions): Promise<string> {
  const newest = await stream.newest();
  await redis.set(keys.webhookCursor, newest, "NX");
  const cursor = (await redis.get(keys.webhookCursor)) ?? newest;
  if (compareIds(cursor, newest) > 0) {
    // Another Redis, or one whose clock was set back.
    await redis.set(keys.webhookCursor, newest);
    return newest;
  }
  const oldest = await stream.oldest();
  if (oldest !== undefined && cursor !== "0-0" && compareIds(cursor, oldest) < 0) {
    await redis.hincrby(keys.counters, "webhook_gap", 1);
    log("Events of which webhooks were to be told are not kept any more; those after them are.");
  }
  return cursor;
}

async function addJobs(
  { producer, hooks, clock }: FeedOptions,
  events: readonly StreamedEvent[],
): Promise<void> {
  const now = clock.now();
  const fresh = events.filter(({ id }) => Number(id.split("-")[0]) > now - OLDEST);
  for (const { name, events: wanted } of hooks) {
    const told = fresh.filter((event) => wanted.has(kindOf(event)));
    await producer.webhook(
      name,
      told.map((event) => jobOf(event, now)),
    );
  }
}

function jobOf(event: StreamedEvent, since: number): WebhookJob {
  const { id, at, ...data } = event;
  const body = JSON.stringify({ type: `certificate.${kindOf(event)}`, timestamp: at, data });
  return { event: id, body, since };
}
