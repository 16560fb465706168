/** The processes of the demo, and how they end: by themselves, or with Ctrl-C. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../test/support/temp.ts";
import { cleanEnvironment, exitOf, PROJECT, startCertherd, stopProcess } from "./stage.ts";

const interrupt = new AbortController();

/** Aborted by Ctrl-C and SIGTERM. */
export const interrupted: AbortSignal = interrupt.signal;

export function listenForInterrupt(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => interrupt.abort(new Error("interrupted")));
}

/** Resolves at Ctrl-C. */
export async function untilInterrupted(): Promise<void> {
  // Signals alone keep no process alive.
  const alive = setInterval(() => undefined, 60_000);
  await new Promise<void>((resolve) => {
    if (interrupted.aborted) resolve();
    else interrupted.addEventListener("abort", () => resolve(), { once: true });
  });
  clearInterval(alive);
}

/** Runs one command before everybody's eyes. */
export async function runCertherd(args: readonly string[], env: Record<string, string>): Promise<void> {
  interrupted.throwIfAborted();
  const child = startCertherd(args, env);
  const end = (): void => void child.kill("SIGTERM");
  interrupted.addEventListener("abort", end, { once: true });
  await exitOf(child);
  interrupted.removeEventListener("abort", end);
  interrupted.throwIfAborted();
}

/** `certherd up`, in a process group of its own: a Ctrl-C must not reach it before what it works with is let go of. */
export async function startUp(
  env: Record<string, string>,
  logFile: string,
): Promise<{ stop(): Promise<void> }> {
  const log = openSync(logFile, "a");
  const child: ChildProcess = spawn(process.execPath, [join(PROJECT, "bin/certherd.js"), "up"], {
    env: cleanEnvironment(env),
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const stop = async (): Promise<void> => void (await stopProcess(child));
  const isUp = (): boolean => readFileSync(logFile, "utf8").includes("certherd is up");
  try {
    await waitUntil(() => isUp() || child.exitCode !== null, {
      timeoutMs: 20_000,
      what: "certherd up to start",
    });
  } catch (error) {
    await stop();
    throw error;
  }
  if (!isUp()) throw new Error(`certherd up ended: ${readFileSync(logFile, "utf8")}`);
  return { stop };
}

/** What a command with `--json` prints. */
export function askCertherd<T>(args: readonly string[], env: Record<string, string>): T {
  const { stdout } = spawnSync(process.execPath, [join(PROJECT, "bin/certherd.js"), ...args, "--json"], {
    env: cleanEnvironment(env),
    encoding: "utf8",
    maxBuffer: 1024 * 1024 * 1024,
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(stdout) as T;
}

/** The settings as a file for a shell, so that other commands can be tried on what was left running. */
export function writeSettings(path: string, env: Record<string, string>): void {
  const lines = Object.entries(env).map(([name, value]) => `export ${name}='${value}'`);
  writeFileSync(path, `${lines.join("\n")}\n`, { mode: 0o600 });
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
