import { type ChildProcess, spawn } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { processEnvironment, searchPath } from "../../config/environment.ts";
import { AppError } from "../../core/errors.ts";
import { isCode } from "../../store/atomic.ts";

/** Milliseconds between SIGTERM and SIGKILL, and between two looks whether a killed group is gone. */
const GRACE = 2_000;
const LOOK = 20;
/** Milliseconds that what is left of the output is waited for: a daemon may hold the pipe open for ever. */
const DRAIN = 200;
/** Characters of output held, and what of them is told. */
const HELD = 32_768;
const MOST_LINES = 20;
const MOST_CHARACTERS = 2_000;

export interface RunOptions {
  /** Milliseconds. */
  timeout: number;
  /** Beside PATH, HOME and LANG, which are all that a program gets of our own environment: secrets live there. */
  env?: Readonly<Record<string, string>>;
}

export interface Ran {
  ok: boolean;
  /** How it ended, to stand behind the program's name: "ended with exit code 3", say. */
  how: string;
  /** The last lines of stdout and stderr, without control characters and PEM. */
  output: string;
}

/**
 * Runs a program to its end, never through a shell, in a process group of its own: at the time limit all of that is
 * killed. Throws `node_misconfigured` where it cannot be started.
 */
export async function run(command: readonly string[], options: RunOptions): Promise<Ran> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, {
    env: environmentOf(options),
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = collect(child);
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const ended = new Promise<string>((resolve, reject) => {
    child.once("error", (error) => reject(notStarted(program, error)));
    child.once("exit", (code, signal) =>
      resolve(signal ? `was killed by ${signal}` : `ended with exit code ${code}`),
    );
  });
  const limit = new AbortController();
  const late = sleep(options.timeout, "late" as const, { signal: limit.signal }).catch(
    () => "ended" as const,
  );
  try {
    const how = await Promise.race([ended, late]);
    const timedOut = how === "late";
    if (timedOut) await killGroup(child);
    const outcome = await ended;
    await drained(child, closed);
    if (timedOut)
      return {
        ok: false,
        how: `did not end within ${options.timeout / 1_000} s and was killed`,
        output: output(),
      };
    return { ok: outcome === "ended with exit code 0", how: outcome, output: output() };
  } finally {
    limit.abort();
    await late;
  }
}

/** Where a program is found, or why it is not. Throws `node_misconfigured`. */
export async function findProgram(program: string): Promise<string> {
  const candidates = program.includes("/") ? [program] : searchPath().map((folder) => join(folder, program));
  for (const path of candidates) {
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  const where = program.includes("/") ? "is not there, or may not be run by this user" : "is not in PATH";
  throw new AppError(`${program} ${where}. Correct its path, or its mode (chmod +x).`, {
    code: "node_misconfigured",
    disposition: "node",
  });
}

function environmentOf({ env }: RunOptions): Record<string, string> {
  const { PATH, HOME, LANG } = processEnvironment();
  const kept = Object.entries({ PATH, HOME, LANG }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return { ...Object.fromEntries(kept), ...env };
}

function notStarted(program: string, error: unknown): AppError {
  const why = isCode(error, "ENOENT")
    ? "is not there"
    : isCode(error, "EACCES")
      ? "may not be run by this user"
      : error instanceof Error
        ? error.message
        : String(error);
  return new AppError(`${program} cannot be started: it ${why}. Correct its path, or its mode (chmod +x).`, {
    code: "node_misconfigured",
    disposition: "node",
    cause: error,
  });
}

/** Those that ignore SIGTERM are killed, even where the program itself has obeyed. */
async function killGroup({ pid }: ChildProcess): Promise<void> {
  if (pid === undefined || !signalGroup(pid, "SIGTERM")) return;
  for (let waited = 0; waited < GRACE; waited += LOOK) {
    await sleep(LOOK);
    if (!signalGroup(pid, 0)) return;
  }
  signalGroup(pid, "SIGKILL");
}

/** Whether there is still somebody in the group. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    // Somebody else's by now (EPERM) is there, but no business of ours.
    return isCode(error, "EPERM");
  }
}

/** What the program has started, and left running, may hold its pipes for ever. */
async function drained(child: ChildProcess, closed: Promise<void>): Promise<void> {
  const enough = new AbortController();
  const patience = sleep(DRAIN, undefined, { signal: enough.signal }).catch(() => undefined);
  await Promise.race([closed, patience]);
  enough.abort();
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function collect(child: ChildProcess): () => string {
  let held = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8");
    stream?.on("data", (chunk: string) => {
      held = `${held}${chunk}`.slice(-HELD);
    });
    stream?.on("error", () => undefined);
  }
  return () => lastLines(held);
}

/** The end of a program's words as it may stand in an error: no control characters, and nothing of a key. */
export function lastLines(text: string): string {
  const lines = text
    // The end of a PEM may not be written yet, and its beginning have been cut off.
    .replace(/-----BEGIN [\s\S]*?(?:-----END [^\n]*|$)/g, "(PEM)")
    .replace(/^[\s\S]*-----END [^\n]*/, "(PEM)")
    .split(/[\r\n]+/)
    .map((line) => line.replace(/\p{Cc}+/gu, " ").trim())
    .filter((line) => line !== "" && !/^[A-Za-z0-9+/]{24,}={0,2}$/.test(line));
  return lines.slice(-MOST_LINES).join("\n").slice(-MOST_CHARACTERS);
}
