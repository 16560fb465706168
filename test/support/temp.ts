/** Temporary folders, free ports and waiting, for everything under test/. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const folders = new Set<string>();
const endings: (() => void)[] = [];

/** Runs `ending` when this process exits, the one named last first. */
export function atExit(ending: () => void): void {
  endings.unshift(ending);
}

function end(): void {
  for (const ending of endings.splice(0)) ending();
}

process.on("exit", end);
// This is how vitest ends its workers, and no exit listener runs then. Whoever listens too decides for us.
process.once("SIGTERM", () => {
  if (process.listenerCount("SIGTERM") > 0) return;
  end();
  process.kill(process.pid, "SIGTERM");
});

atExit(() => {
  for (const folder of folders) removeDir(folder);
});

/** A new folder with mode 0700 that goes away when this process exits. */
export function tempDir(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), `${prefix}-`));
  folders.add(folder);
  return folder;
}

/** Removes a folder now. A server that just died may still have had a file open: hence the retries. */
export function removeDir(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  folders.delete(folder);
}

/**
 * Below the kernel's ephemeral ports (32768 and up on Linux). A client that keeps dialling a stopped server on
 * an ephemeral port can be given that very port as its own, and then talks to itself and blocks the restart.
 */
const PORTS = { first: 20_000, last: 32_000 };
const handedOut = new Set<number>();

/** A loopback port that nothing listens on, and that this process was not given before. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 1_000; attempt++) {
    const port = PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first));
    if (handedOut.has(port) || !(await canListen(port))) continue;
    handedOut.add(port);
    return port;
  }
  throw new Error("no free loopback port");
}

async function canListen(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

export interface WaitOptions {
  timeoutMs?: number;
  everyMs?: number;
  /** What is waited for, for the error's text. */
  what?: string;
}

/** Calls `fn` until it gives something truthy, and returns that. A throw counts as "not yet". */
export async function waitUntil<T>(
  fn: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 20, what = "a condition" }: WaitOptions = {},
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await fn();
      if (value) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() >= deadline) throw new Error(`timed out after ${timeoutMs} ms: ${what}`, { cause });
    await sleep(everyMs);
  }
}
