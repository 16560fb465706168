import { access, constants, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { StunnelTarget } from "../../../config/terminations.ts";
import { AppError } from "../../../core/errors.ts";
import { isCode } from "../../../store/atomic.ts";
import type { Examined } from "../../target.ts";
import { examined } from "../examined.ts";
import { versionOf } from "./check.ts";
import { globalValue } from "./configuration.ts";
import { checkPems, presentServices, readLayout } from "./layout.ts";
import { checkUser, runningStunnel } from "./process.ts";

/** Looks at the program, the process, its configuration and the folders, one after the other. */
export async function* examineStunnel(config: StunnelTarget): AsyncGenerator<Examined> {
  yield await examined("stunnel program", () => versionOf(config.program));
  yield await examined("stunnel process", async () => {
    const running = await runningStunnel(config);
    checkUser(running);
    return `runs as process ${running.pid}`;
  });
  yield await examined("stunnel configuration", async () => {
    const { main } = await readLayout(config);
    const log = globalValue(main, "output");
    const told = log === undefined ? "it has no output = FILE to read reasons from" : `its log is ${log}`;
    return `[${config.master}] and the include of ${dirname(config.services)} stand in ${config.config}; ${told}`;
  });
  yield await examined("stunnel services", async () => {
    const present = await presentServices(config);
    await checkPems(present, config.services);
    return `${present.length} in ${config.services}`;
  });
  for (const folder of new Set([dirname(config.services), config.certDir]))
    yield await examined("stunnel folder", () => writable(folder));
}

/** A folder that is not there is made at the first certificate, by whoever may write above it. */
async function writable(folder: string): Promise<string> {
  let place = folder;
  while ((await isMissing(place)) && dirname(place) !== place) place = dirname(place);
  await access(place, constants.W_OK | constants.X_OK).catch(() => {
    throw new AppError(
      `${place} cannot be written to by this user. Give it to the user of the role "deploy".`,
      {
        code: "node_misconfigured",
        disposition: "node",
      },
    );
  });
  return place === folder ? `${folder} can be written to` : `${folder} will be made`;
}

async function isMissing(path: string): Promise<boolean> {
  return await stat(path).then(
    () => false,
    (error: unknown) => isCode(error, "ENOENT"),
  );
}
