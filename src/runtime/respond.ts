import { RespondService } from "../respond/service.ts";
import type { House } from "./house.ts";
import type { Service } from "./service.ts";

/** Answers http-01 on every ACMEPort in use. */
export async function startRespond(house: House): Promise<Service> {
  const { config, challenges, responders, certificates, log, processName } = house;
  const validating = (): Promise<number> => certificates.count("validating");
  return await new RespondService({
    host: config.acmeListen,
    name: processName,
    challenges,
    responders,
    validating,
    log,
  }).start();
}
