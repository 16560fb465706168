import { startNotify } from "../notify/service.ts";
import type { House } from "./house.ts";
import type { Service } from "./service.ts";

/** Sends mail. */
export async function startMail(house: House): Promise<Service> {
  return await Promise.resolve(startNotify(house));
}
