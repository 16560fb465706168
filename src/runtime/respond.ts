import { RespondService } from "../respond/service.ts";
import type { House } from "./house.ts";
import type { Service } from "./service.ts";

/** Answers http-01 on every ACMEPort in use. */
export async function startRespond(house: House): Promise<Service> {
  const { config, challenges, responders, log, processName } = house;
  return await new RespondService({
    host: config.acmeListen,
    name: processName,
    challenges,
    responders,
    log,
  }).start();
}
