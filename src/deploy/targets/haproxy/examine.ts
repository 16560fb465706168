import { access, constants, stat } from "node:fs/promises";
import type { HaproxyTarget } from "../../../config/terminations.ts";
import type { Examined } from "../../target.ts";
import { examined } from "../examined.ts";
import { notInUse, Runtime } from "./runtime.ts";

/** Bytes of a certificate of 100 names with a chain of two and an RSA key of 4,096 bits. */
const LARGE = 14_000;

/** Looks at the socket and what may be done over it, the crt-list, the buffer and the folder. */
export async function* examineHaproxy(config: HaproxyTarget): AsyncGenerator<Examined> {
  yield await examined("folder", () => checkFolder(config.certDir));
  let runtime: Runtime | undefined;
  yield await examined("socket", async () => {
    runtime = await Runtime.open(config.socket, config.timeout);
    const { version, pid, uptime } = await runtime.info();
    return `HAProxy ${version}, process ${pid}, has been up for ${uptime.trim()}.`;
  });
  if (!runtime) return;
  const open: Runtime = runtime;
  try {
    yield await examined("level", () => checkLevel(open, config.socket));
    yield await examined("crt-list", async () => {
      const known = await open.crtLists();
      if (!known.includes(config.crtList)) throw notInUse(config.crtList, known);
      return `${config.crtList} is in use.`;
    });
    yield await examined("buffer", async () => {
      const bytes = await open.buffer();
      if (bytes < LARGE)
        throw new Error(
          `tune.bufsize is ${bytes}: certificates with many names do not fit; set it to 16384 or more.`,
        );
      return `Takes certificates of less than ${bytes} bytes (tune.bufsize).`;
    });
    yield await examined("transaction", async () => {
      const file = await open.transaction();
      return file === undefined
        ? "None is open."
        : `One is open about ${file}; it is aborted before the next change if it is one of Certherd's.`;
    });
  } finally {
    open.close();
  }
}

async function checkLevel(runtime: Runtime, socket: string): Promise<string> {
  const level = await runtime.level();
  if (level !== "admin")
    throw new Error(
      `It has the level "${level}", and certificates take "admin": write "stats socket ${socket} mode 600 level admin" in the global section.`,
    );
  return "It has the level admin.";
}

async function checkFolder(folder: string): Promise<string> {
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined) return `${folder} is not there yet, and will be made.`;
  await access(folder, constants.W_OK);
  if ((found.mode & 0o007) !== 0)
    throw new Error(`${folder} holds private keys and is open to everybody: chmod 700 ${folder}`);
  return `${folder} can be written.`;
}
