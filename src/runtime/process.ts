import { loadConfig } from "../config/load.ts";
import type { Role } from "../store/alive.ts";
import { exitCodeOf, explain } from "./exit.ts";
import { type House, type Log, openHouse } from "./house.ts";
import type { Service } from "./service.ts";
import { startRoles } from "./up.ts";

/** Milliseconds that a stop may take; what is cut off comes back from its checkpoint. */
const STOP_WITHIN = 25_000;

/** Lines for a person or a journal, on stderr. */
export const stderrLog: Log = (line) => {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
};

/**
 * The life of a process: loads the configuration, opens the house, starts its roles, and on SIGTERM or SIGINT drains
 * and ends. A second signal ends it at once.
 */
export async function runProcess(roles: readonly Role[], started?: (house: House) => void): Promise<void> {
  let house: House | undefined;
  let service: Service | undefined;
  try {
    house = await openHouse(loadConfig(), stderrLog, roles.join("+"));
    service = await startRoles(house, roles);
    started?.(house);
    await stopSignal();
  } catch (error) {
    stderrLog(explain(error));
    process.exitCode = exitCodeOf(error);
  }
  const late = setTimeout(() => process.exit(process.exitCode ?? 1), STOP_WITHIN);
  await service?.close().catch((error: Error) => stderrLog(error.message));
  await house?.close();
  clearTimeout(late);
}

async function stopSignal(): Promise<void> {
  const signal = await new Promise<string>((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve(name));
  });
  stderrLog(`${signal}: finishing the steps in hand; what waits stays queued.`);
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => process.exit(1));
}
