import { type FileHandle, open, readFile } from "node:fs/promises";
import { basename, isAbsolute } from "node:path";
import type { StunnelTarget } from "../../../config/terminations.ts";
import { AppError } from "../../../core/errors.ts";
import { isCode } from "../../../store/atomic.ts";
import { isNoise } from "./check.ts";

export interface RunningStunnel {
  pid: number;
  /** Its effective user, where the system tells. */
  uid: number | undefined;
}

/** The live stunnel. Throws `node_unreachable` where there is none: another process may have its number by now. */
export async function runningStunnel({ pidFile, program }: StunnelTarget): Promise<RunningStunnel> {
  const text = await readFile(pidFile, "utf8").catch((error: unknown) => {
    throw unreachable(`${pidFile} cannot be read (${error instanceof Error ? error.message : error})`, error);
  });
  const pid = Number(/^\s*(\d+)\s*$/.exec(text)?.[1]);
  if (!(pid > 1)) throw unreachable(`${pidFile} holds no process number`);
  if (!(await hasProc())) {
    signal(pid, 0, pidFile);
    return { pid, uid: undefined };
  }
  const read = (name: string): Promise<string> =>
    readFile(`/proc/${pid}/${name}`, "utf8").catch((error: unknown) => {
      throw unreachable(`process ${pid} of ${pidFile} does not exist`, error);
    });
  const command = (await read("comm")).trim();
  // The kernel keeps 15 bytes of it.
  if (!command.startsWith("stunnel") && command !== basename(program).slice(0, 15))
    throw unreachable(`process ${pid} of ${pidFile} is "${command}" and not stunnel`);
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(await read("status"))?.[1];
  return { pid, uid: uid === undefined ? undefined : Number(uid) };
}

async function hasProc(): Promise<boolean> {
  return await readFile("/proc/self/comm").then(
    () => true,
    () => false,
  );
}

/** Tells stunnel to read its configuration again. */
export function hangUp(pid: number, pidFile: string): void {
  signal(pid, "SIGHUP", pidFile);
}

function signal(pid: number, which: NodeJS.Signals | 0, pidFile: string): void {
  try {
    process.kill(pid, which);
  } catch (error) {
    if (!isCode(error, "EPERM")) throw unreachable(`process ${pid} of ${pidFile} does not exist`, error);
    throw new AppError(
      `This process may not signal stunnel (process ${pid}). Run the role "deploy" as the user that stunnel runs as, or as root.`,
      { code: "node_misconfigured", disposition: "node", cause: error },
    );
  }
}

function unreachable(why: string, cause?: unknown): AppError {
  return new AppError(
    `stunnel does not run: ${why}. Start it, or correct pidFile; its certificates wait until then.`,
    { code: "node_unreachable", disposition: "unavailable", cause },
  );
}

/** What stunnel writes into its log from now on, where it has one that can be read. */
export class Log {
  readonly #path: string;
  #at: { inode: number; offset: number };
  #rest = "";
  /** What it made of the configuration that it read last. */
  verdict: "taken" | "refused" | undefined;
  words: string[] = [];

  private constructor(path: string, at: { inode: number; offset: number }) {
    this.#path = path;
    this.#at = at;
  }

  static async open(path: string | undefined): Promise<Log | undefined> {
    if (path === undefined || !isAbsolute(path)) return undefined;
    const file = await open(path, "r").catch(() => undefined);
    try {
      const stats = await file?.stat();
      return stats?.isFile() ? new Log(path, { inode: stats.ino, offset: stats.size }) : undefined;
    } finally {
      await file?.close();
    }
  }

  async read(): Promise<void> {
    const file = await open(this.#path, "r").catch(() => undefined);
    if (!file) return;
    try {
      await this.#readFrom(file);
    } finally {
      await file.close();
    }
  }

  /** It is opened again at each reload, and may be another file then, or begin anew (`log = overwrite`). */
  async #readFrom(file: FileHandle): Promise<void> {
    const { ino: inode, size } = await file.stat();
    if (inode !== this.#at.inode || size < this.#at.offset) this.#at = { inode, offset: 0 };
    const buffer = Buffer.alloc(Math.min(size - this.#at.offset, 1 << 24));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, this.#at.offset);
    this.#at.offset += bytesRead;
    const lines = (this.#rest + buffer.toString("utf8", 0, bytesRead)).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#take(line);
  }

  #take(line: string): void {
    const [, level, word = ""] = /LOG(\d)\[[^\]]*\]: (.*)$/.exec(line) ?? [];
    if (word === "Configuration successful") this.verdict = "taken";
    if (word === "Configuration failed" || word.startsWith("Failed to reload")) this.verdict = "refused";
    if (level !== undefined && Number(level) <= 3 && !isNoise(word) && this.words.length < 20)
      this.words.push(word);
  }
}

/** Throws where the live one could not read a file that is this user's alone: at a reload it has no root's rights left. */
export function checkUser({ uid }: RunningStunnel): void {
  const ours = process.geteuid?.();
  if (uid === undefined || ours === undefined || uid === 0 || uid === ours) return;
  throw new AppError(
    `stunnel runs as user ${uid}, and could not read PEM files of user ${ours}, which are 0600, when it reloads. Run the role "deploy" as user ${uid}, or take setuid out of stunnel's configuration.`,
    { code: "node_misconfigured", disposition: "node" },
  );
}
