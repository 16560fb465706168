import { EventStream } from "../store/event-stream.ts";
import { feed } from "../webhooks/feed.ts";
import { removeLeftovers } from "../webhooks/leftover.ts";
import { startDeliveries, type WebhookSchedule } from "../webhooks/service.ts";
import type { House } from "./house.ts";
import { every, type Service, together } from "./service.ts";

/** Milliseconds between two looks at what has happened. */
const LOOK = 1_000;
const TURN = "webhooks";
/** Milliseconds between two looks for queues of webhooks that are gone, and after how long they are. */
const LEFTOVER_LOOK = 10_000;
const LEFTOVER_AFTER = 60_000;

/** Tells the configured webhooks what happens. One process reads the events, all of them deliver. */
export function startWebhooks(house: House, schedule?: Partial<WebhookSchedule>): Service {
  const { config, redis, producer, clock, log, turns, processName } = house;
  const hooks = config.webhooks;
  const tidying = every(LEFTOVER_LOOK, house, () =>
    removeLeftovers({ redis, producer, hooks, clock, log }, LEFTOVER_AFTER),
  );
  if (hooks.length === 0) return tidying;
  const stream = new EventStream(redis);
  const mayGoOn = (): Promise<boolean> => turns.take(TURN, processName);
  const feeding = every(LOOK, house, async () => {
    if (await mayGoOn()) await feed({ redis, stream, producer, hooks, clock, log }, mayGoOn);
  });
  const deliveries = startDeliveries({ redis, hooks, clock, log, ...(schedule ? { schedule } : {}) });
  return together([deliveries, feeding, tidying]);
}
