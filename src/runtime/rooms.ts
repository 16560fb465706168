import { setTimeout as sleep } from "node:timers/promises";
import type { CaConfig } from "../config/load.ts";
import { heldBy } from "../core/certificate.ts";
import { WaitingRooms } from "../limits/rooms.ts";
import type { House } from "./house.ts";
import type { Service } from "./service.ts";

/** Milliseconds between two looks at which rooms are due: one small read. */
const LOOK = 200;

/** Calls those whose turn it is in the waiting rooms of one account. Any number of processes may do so. */
export function startRooms(house: House, ca: CaConfig): Service {
  const rooms = new WaitingRooms(house.redis, ca.name, ca.limits);
  const stop = new AbortController();
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      if (house.redis.status === "ready")
        await callDue(house, ca.name, rooms).catch((error: Error) => house.log(error.message));
      await sleep(LOOK, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  };
  const running = loop();
  return {
    close: async () => {
      stop.abort();
      await running;
    },
  };
}

async function callDue({ producer }: House, account: string, rooms: WaitingRooms): Promise<void> {
  const called = await rooms.due();
  if (called.length === 0) return;
  const { gone, early } = await producer.wake(
    account,
    called.map((each) => ({ ...each, ...heldBy(each.holder) })),
  );
  // Whose job is gone was removed, or has been asked for anew: the place is free for the next one.
  await rooms.forget(gone);
  await rooms.soon([...gone, ...early]);
}
