import type { Status } from "../core/certificate.ts";
import { Forecast } from "./forecast.ts";
import type { House } from "./house.ts";
import { every, type Service } from "./service.ts";

const LOOK = 30_000;
/** Milliseconds: a digest that would be whole sooner than that is waited for. */
const SOON = 600_000;
/** The latest imports; what is older has been told long ago. */
const IMPORTS = 50;
const IN_FLIGHT: readonly Status[] = ["checking", "ordering", "validating", "finalizing"];

/**
 * Sends the digest of an import of which nothing moves any more but what waits for a limit: that may take days, and who
 * waits for the mail wants to know of the rest today. What is issued afterwards is told once a day.
 */
export function startDigests(house: House): Service {
  return every(LOOK, house, () => sendAtLimit(house));
}

export async function sendAtLimit(house: House, soon = SOON): Promise<void> {
  const { certificates, imports, notifier, boxes, clock } = house;
  const untold = [];
  for (const id of await imports.latest(IMPORTS)) {
    const record = await imports.get(id);
    if (record?.read && !record.ended && record.open > 0 && !(await boxes.isTold(id))) untold.push(id);
  }
  if (untold.length === 0) return;
  for (const status of IN_FLIGHT) if ((await certificates.count(status)) > 0) return;
  const doneBy = await new Forecast(house).all();
  if (doneBy === undefined || doneBy - clock.now() < soon) return;
  for (const id of untold) await notifier.importEnded(id);
}
