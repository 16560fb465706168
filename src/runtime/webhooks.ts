import { EventStream } from "../store/event-stream.ts";
import { feed } from "../webhooks/feed.ts";
import { startDeliveries, type WebhookSchedule } from "../webhooks/service.ts";
import type { House } from "./house.ts";
import { every, type Service, together } from "./service.ts";

/** Milliseconds between two looks at what has happened. */
const LOOK = 1_000;
const TURN = "webhooks";

/** Tells the configured webhooks what happens. One process reads the events, all of them deliver. */
export function startWebhooks(house: House, schedule?: Partial<WebhookSchedule>): Service {
  const { config, redis, producer, clock, log, turns, processName } = house;
  const hooks = config.webhooks;
  if (hooks.length === 0) return together([]);
  const stream = new EventStream(redis);
  const mayGoOn = (): Promise<boolean> => turns.take(TURN, processName);
  const feeding = every(LOOK, house, async () => {
    if (await mayGoOn()) await feed({ redis, stream, producer, hooks, clock, log }, mayGoOn);
  });
  const deliveries = startDeliveries({ redis, hooks, clock, log, ...(schedule ? { schedule } : {}) });
  return together([deliveries, feeding]);
}
