/** Child processes that never outlive the process that started them. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { atExit, waitUntil } from "./temp.ts";

const KEPT_LINES = 2_000;
const running = new Set<ChildProcess>();

// Named after temp.ts has named its own, so these children are gone before their folders are.
atExit(() => {
  for (const child of running) child.kill("SIGKILL");
});

let guard: readonly string[] | undefined;

/** On Linux the kernel itself kills the child when its parent dies, even of SIGKILL. The pid stays the child's. */
function deathGuard(): readonly string[] {
  if (guard === undefined) {
    const prefix = ["setpriv", "--pdeathsig", "KILL"];
    guard = spawnSync("setpriv", [...prefix.slice(1), "true"]).status === 0 ? prefix : [];
  }
  return guard;
}

export interface ProcessOptions {
  cwd: string;
  env?: NodeJS.ProcessEnv;
  onLine?: (line: string) => void;
}

export interface ServerProcess {
  readonly pid: number;
  /** Resolves when the process is gone, to a word on how it went. */
  readonly exited: Promise<string>;
  /** The last lines it wrote to stdout and stderr. */
  lines(): string[];
  /** Waits until `probe` gives something truthy; fails when the process ends before, or kills it after 15 s. */
  ready(probe: () => unknown): Promise<void>;
  /** SIGTERM, after five seconds SIGKILL; resolves when it is gone. */
  stop(): Promise<void>;
  kill9(): Promise<void>;
}

export function startProcess(
  program: string,
  args: readonly string[],
  options: ProcessOptions,
): ServerProcess {
  const command = [...deathGuard(), program, ...args];
  const { cwd, env = process.env } = options;
  const child = spawn(command[0] ?? program, command.slice(1), {
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const lines: string[] = [];
  const keep = (line: string) => {
    options.onLine?.(line);
    if (lines.push(line) > 2 * KEPT_LINES) lines.splice(0, KEPT_LINES);
  };
  eachLine(child.stdout, keep);
  eachLine(child.stderr, keep);

  let gone = false;
  const exited = new Promise<string>((resolve) => {
    const end = (how: string) => {
      gone = true;
      running.delete(child);
      resolve(how);
    };
    child.on("error", (error) => end(error.message));
    child.on("close", (code, signal) => end(`${signal ?? `exit code ${code}`}`));
  });

  const kill = async (signal: NodeJS.Signals) => {
    if (!gone) child.kill(signal);
    await exited;
  };
  return {
    pid: child.pid ?? -1,
    exited,
    lines: () => lines.slice(-KEPT_LINES),
    async ready(probe) {
      try {
        await waitUntil(() => gone || probe(), { timeoutMs: 15_000, what: `${program} to be ready` });
      } catch (error) {
        await kill("SIGKILL");
        throw error;
      }
      if (gone) throw new Error(`${program} ended: ${await exited} (${lines.slice(-5).join(" | ")})`);
    },
    async stop() {
      const patience = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await kill("SIGTERM");
      clearTimeout(patience);
    },
    kill9: () => kill("SIGKILL"),
  };
}

function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) onLine(line);
  });
  stream.on("end", () => {
    if (rest !== "") onLine(rest);
  });
}
