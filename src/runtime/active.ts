import { asAppError } from "../core/errors.ts";
import { watchActivity } from "./activity.ts";
import type { House } from "./house.ts";
import type { Service } from "./service.ts";

/**
 * Runs a service for as long as the address of `activeWhen` is on this host, which is looked at every 2 s: of a pair one
 * host orders, and the other one takes over when the address moves. Always, where no address is configured.
 */
export async function startWhileActive(house: House, start: () => Promise<Service>): Promise<Service> {
  const address = house.config.activeAddress;
  if (address === undefined) return await start();
  let running: Service | undefined;
  const watch = await watchActivity({
    address,
    onError: (error) => house.log(asAppError(error).message),
    onChange: async (active) => {
      house.tellActivity(active);
      if (active) running ??= await start();
      else {
        const stopped = running;
        running = undefined;
        await stopped?.close();
      }
    },
  });
  return {
    close: async () => {
      await watch.close();
      await running?.close();
    },
  };
}
