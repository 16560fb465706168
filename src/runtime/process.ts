import { loadConfig } from "../config/load.ts";
import type { Role } from "../store/alive.ts";
import { exitCodeOf, explain } from "./exit.ts";
import { type House, type Log, openHouse } from "./house.ts";
import { faultOf, type PartMessage, STOP } from "./part.ts";
import type { Service } from "./service.ts";
import { startRoles } from "./up.ts";

/** Milliseconds that a stop may take; what is cut off comes back from its checkpoint. */
const STOP_WITHIN = 25_000;
const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** Lines for a person or a journal, on stderr. */
export const stderrLog: Log = (line) => {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
};

interface Life {
  start: (house: House) => Promise<Service>;
  started: (house: House) => void;
  /** Resolves when it is time to end. */
  until: () => Promise<void>;
  failed: (error: unknown) => void;
}

interface Options {
  /** Roles that run in processes of their own, which live as long as this one. */
  apart?: readonly Role[];
  started?: (house: House) => void;
}

/**
 * The life of a process: loads the configuration, opens the house, starts its roles, and on SIGTERM or SIGINT drains
 * and ends. A second signal ends it at once.
 */
export async function runProcess(
  roles: readonly Role[],
  { apart = [], started = () => undefined }: Options = {},
): Promise<void> {
  await live(roles, {
    start: async (house) => {
      house.tellOfRedis();
      return await startRoles(house, roles, apart);
    },
    started,
    until: stopSignal,
    failed: (error) => stderrLog(explain(error)),
  });
}

/**
 * The life of a process that is a part of another one (`Part`): tells it that it has started, or why not, and ends when
 * it is told to. A terminal or a service manager sends its signals to both, and the other one decides, and says what
 * concerns both. If that was killed, this one ends at once, as it would have ended within it.
 */
export async function runPart(roles: readonly Role[]): Promise<void> {
  for (const name of SIGNALS) process.on(name, () => undefined);
  const orphaned = (): never => process.exit(1);
  process.once("disconnect", orphaned);
  const stop = new Promise<void>((resolve) => {
    process.on("message", (message) => message === STOP && resolve());
  });
  await live(roles, {
    start: (house) => startRoles(house, roles),
    started: () => tell({}),
    until: () => stop,
    failed: (error) => tell({ failed: faultOf(error) }),
  });
  process.off("disconnect", orphaned);
  process.disconnect();
}

function tell(message: PartMessage): void {
  process.send?.(message);
}

async function live(roles: readonly Role[], { start, started, until, failed }: Life): Promise<void> {
  let house: House | undefined;
  let service: Service | undefined;
  try {
    house = await openHouse(loadConfig(), stderrLog, roles.join("+"));
    service = await start(house);
    started(house);
    await until();
  } catch (error) {
    failed(error);
    process.exitCode = exitCodeOf(error);
  }
  const late = setTimeout(() => process.exit(process.exitCode ?? 1), STOP_WITHIN);
  await service?.close().catch((error: Error) => stderrLog(error.message));
  await house?.close();
  clearTimeout(late);
}

async function stopSignal(): Promise<void> {
  const signal = await new Promise<string>((resolve) => {
    for (const name of SIGNALS) process.once(name, () => resolve(name));
  });
  stderrLog(`${signal}: finishing the steps in hand; what waits stays queued.`);
  for (const name of SIGNALS) process.once(name, () => process.exit(1));
}
