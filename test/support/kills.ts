/** Processes that are killed in the middle of their work, at moments that a seed decides. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "./random.ts";
import type { SocketMeter } from "./socket-meter.ts";

export interface KillOptions {
  start: () => ChildProcess;
  kills: number;
  random: Random;
  /** The runtime sockets of the nodes: it is killed after so many commands to one of them. */
  meters: readonly SocketMeter[];
  /** Commands that are let through, at most. */
  most: number;
  /** Milliseconds after which it is killed anyway: its jobs may still be another's, who is dead. */
  patience: number;
  /** Milliseconds until the next one is started. */
  pause?: number;
}

/** Returns the last process, which lives, and where each of the others was killed. */
export async function killAgainAndAgain(
  options: KillOptions,
): Promise<{ child: ChildProcess; moments: string[] }> {
  const { start, kills, random, meters, most, patience, pause = 300 } = options;
  const moments: string[] = [];
  let child = start();
  for (let kill = 0; kill < kills; kill++) {
    const reached = meters.map(async (meter, node) => {
      const commands = 1 + random.below(most);
      // Behind the commands come files, and looks at what is served.
      const later = random.oneIn(2) ? 0 : random.below(500);
      await meter.after(commands);
      await sleep(later);
      return `node ${node}, ${later} ms after command ${commands}`;
    });
    const late = new AbortController();
    const waited = sleep(patience, `after ${patience} ms`, { signal: late.signal });
    moments.push(await Promise.race([...reached, waited]));
    late.abort();
    waited.catch(() => undefined);
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    await sleep(pause);
    child = start();
  }
  return { child, moments };
}
