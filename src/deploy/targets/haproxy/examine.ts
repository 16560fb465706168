import { access, constants, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { HaproxyTarget } from "../../../config/terminations.ts";
import type { Examined } from "../../target.ts";
import { examined } from "../examined.ts";
import { misconfigured } from "../owner.ts";
import { busyWith, RuntimeCommands } from "./commands.ts";
import { RuntimeConnection } from "./connection.ts";
import { CrtList } from "./crt-list.ts";
import { checkInUse, checkLevel } from "./runtime.ts";

/** Holds a key of 4096 bits with its chain and a hundred names. */
const ENOUGH = 16_384;

/** Looks at the socket and what it tells, and at the files. Whether disk and memory agree would take too long. */
export async function* examineHaproxy(config: HaproxyTarget): AsyncGenerator<Examined> {
  let connection: RuntimeConnection | undefined;
  yield await examined("haproxy socket", async () => {
    connection = await RuntimeConnection.open(config);
    const { version, pid, uptime } = await new RuntimeCommands(connection).info();
    return `HAProxy ${version}, process ${pid}, up for ${uptime} s, answers on ${config.socket}`;
  });
  try {
    if (connection !== undefined) yield* examineRuntime(new RuntimeCommands(connection), config);
  } finally {
    connection?.close();
  }
  yield await examined("haproxy crt-list file", async () => {
    const { size } = await new CrtList(config.crtList).files();
    await writable(dirname(config.crtList));
    return `${config.crtList} names ${size} certificates, and can be replaced`;
  });
  yield await examined("haproxy folder", () => folder(config.certDir));
}

async function* examineRuntime(
  commands: RuntimeCommands,
  { socket, crtList, certDir }: HaproxyTarget,
): AsyncGenerator<Examined> {
  const level = await examined("haproxy level", async () => {
    await checkLevel(commands, socket);
    return "admin";
  });
  yield level;
  if (!level.ok) return;
  yield await examined("haproxy crt-list", async () => {
    await checkInUse(commands, crtList);
    return `HAProxy uses ${crtList}`;
  });
  yield await examined("haproxy tune.bufsize", async () => {
    const size = await commands.bufferSize();
    if (size >= ENOUGH) return `${size} bytes for a certificate with key and chain`;
    throw misconfigured(
      `A certificate with key and chain has to fit ${size} bytes, which is too little for some. Set "tune.bufsize ${ENOUGH}" or more in HAProxy's global section.`,
    );
  });
  yield await examined("haproxy transaction", async () => {
    const file = await commands.transaction();
    if (file === undefined) return "none is open";
    if (dirname(file) !== certDir) throw busyWith(file);
    return `one is open for ${file}; the next batch ends it`;
  });
}

/** One that is not there is made with the first certificate. */
async function folder(path: string): Promise<string> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined) {
    await writable(dirname(path));
    return `${path} will be made`;
  }
  await writable(path);
  const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
  if ((stats.mode & 0o002) === 0) return `${path} can be written to, mode ${mode}`;
  throw misconfigured(`Anybody may replace the keys in ${path}, of mode ${mode}. Use: chmod 0700 ${path}`);
}

async function writable(path: string): Promise<void> {
  await access(path, constants.W_OK | constants.X_OK).catch((error: unknown) => {
    throw misconfigured(
      `${path} cannot be written to by this user. Give it to the user of the role "deploy".`,
      error,
    );
  });
}
