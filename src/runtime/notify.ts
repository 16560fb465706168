import { startNotify } from "../notify/service.ts";
import { startDigests } from "./digests.ts";
import type { House } from "./house.ts";
import { type Service, together } from "./service.ts";
import { startWebhooks } from "./webhooks.ts";

/** Sends mail, and tells webhooks. */
export async function startMail(house: House): Promise<Service> {
  return await Promise.resolve(together([startNotify(house), startDigests(house), startWebhooks(house)]));
}
