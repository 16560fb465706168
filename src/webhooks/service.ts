import type { Webhook } from "../config/webhooks.ts";
import type { Clock } from "../core/clock.ts";
import { type Consumer, consume, DONE, type Outcome } from "../queue/consumer.ts";
import { queueNames, type WebhookJob } from "../queue/names.ts";
import { keys } from "../store/keys.ts";
import type { Redis } from "../store/redis.ts";
import { openSender, type Sender } from "./sender.ts";

/** All in milliseconds. */
export interface WebhookSchedule {
  /** Delays after the first, second, … failed try; the last one repeats. */
  retry: readonly number[];
  /** After the first try, when a delivery is dropped. */
  giveUpAfter: number;
  /** For one delivery. */
  within: number;
}

export const WEBHOOK_SCHEDULE: WebhookSchedule = {
  retry: [5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 7_200_000],
  giveUpAfter: 86_400_000,
  within: 15_000,
};

export interface DeliveryOptions {
  redis: Redis;
  hooks: readonly Webhook[];
  clock: Clock;
  log: (line: string) => void;
  schedule?: Partial<WebhookSchedule>;
}

/** Deliveries to one webhook at once. */
const CONCURRENCY = 4;

/** Sends what stands in the webhooks' queues; each has its own, so that one that hangs delays no other. */
export function startDeliveries(options: DeliveryOptions): Consumer {
  const { redis, hooks, log } = options;
  const schedule = { ...WEBHOOK_SCHEDULE, ...options.schedule };
  const sender = openSender(schedule.within);
  const consumers = hooks.map((hook) =>
    consume<WebhookJob>({
      queue: queueNames.webhook(hook.name),
      redis,
      concurrency: CONCURRENCY,
      handle: (job) => deliver(options, schedule, sender, hook, job),
      onFault: (error) => log(`The webhook ${hook.name} could not be told: ${error.message}`),
    }),
  );
  return {
    close: async () => {
      await Promise.all(consumers.map((consumer) => consumer.close()));
      await sender.close();
    },
  };
}

async function deliver(
  { redis, clock, log }: DeliveryOptions,
  { retry, giveUpAfter }: WebhookSchedule,
  sender: Sender,
  hook: Webhook,
  job: WebhookJob,
): Promise<Outcome<WebhookJob>> {
  const refusal = await sender.send(hook, job.event, job.body, clock.now());
  if (refusal === undefined) return DONE;
  const tries = (job.tries ?? 0) + 1;
  const delay = Math.max(
    retry[Math.min(tries, retry.length) - 1] ?? giveUpAfter,
    (refusal.retryAfter ?? 0) * 1_000,
  );
  // Spread, so that what failed together does not come again together.
  const at = clock.now() + Math.round(delay * (1 + Math.random() / 10));
  if (at <= job.since + giveUpAfter) return { kind: "later", at, data: { ...job, tries } };
  await redis.hincrby(keys.counters, "webhook_failed", 1);
  log(
    `The webhook ${hook.name} is not told of the event ${job.event}, after ${tries} tries: ${refusal.reason}.`,
  );
  return DONE;
}
