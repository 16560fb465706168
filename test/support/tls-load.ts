/** Clients of a TLS server, many a second, from a process of their own: the test's event loop does not disturb them. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { atExit } from "./temp.ts";
import type { LoadCommand, LoadReport } from "./tls-load-client.ts";

const CLIENT = fileURLToPath(new URL("./tls-load-client.ts", import.meta.url));

/** Allows any certificate that is for that name and no other, whatever its serial. */
export const OWN = "own";

/**
 * Which serials a name may be served with, upper-case hex as openssl prints it, or OWN. "" stands for the server's
 * refusal by a TLS alert. Nothing else is ever right.
 */
export type Allowed = Readonly<Record<string, readonly string[]>>;

export interface TlsLoadOptions {
  /** Each name is asked for at each of them, by turns. */
  targets: readonly { address?: string; port: number }[];
  /** The names that are asked for, each with what it may be served with. */
  allowed: Allowed;
  /** Connections opened a second, whether or not those before have been answered. */
  perSecond?: number;
  /** Milliseconds for one connection: handshake, request and answer. */
  timeoutMs?: number;
}

export interface LoadTotals {
  opened: number;
  /** Right certificate, and an answer of HTTP below 500. */
  ok: number;
  failed: number;
  /** Another certificate than allowed. */
  wrong: number;
  /** How often for each reason. */
  reasons: Record<string, number>;
  /** The first 20 that failed or were wrong. */
  examples: { at: number; name: string; port: number; what: string }[];
  /** Connections not answered yet. */
  open: number;
  /** Milliseconds of the slowest connection that was answered. */
  slowest: number;
  /** Milliseconds by which a connection was opened too late, at most: how far this machine was from keeping up. */
  lag: number;
  /** Milliseconds of CPU that the clients took. */
  cpu: number;
}

export interface TlsLoad {
  readonly pid: number;
  /**
   * From when it resolves on, these names may be served with these serials only; names that are new are asked for too.
   * A connection that is open then may still have what was allowed when it began.
   */
  allow(allowed: Allowed): Promise<void>;
  totals(): Promise<LoadTotals>;
  /** Opens no more, waits for those that are open, and ends the process. */
  stop(): Promise<LoadTotals>;
}

/** Resolves once the first connections are under way. */
export async function startTlsLoad(options: TlsLoadOptions): Promise<TlsLoad> {
  const child = fork(CLIENT, [], {
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  atExit(() => child.kill("SIGKILL"));
  const waiting: { resolve: (totals: LoadTotals) => void; reject: (error: Error) => void }[] = [];
  let gone: Error | undefined;
  const end = (how: string) => {
    gone ??= new Error(`the TLS clients have ended: ${how}`);
    for (const { reject } of waiting.splice(0)) reject(gone);
  };
  child.on("error", (error) => end(error.message));
  child.on("exit", (code, signal) => end(`${signal ?? `exit code ${code}`}`));
  // Each command has one report, in their order.
  child.on("message", (report: LoadReport) => waiting.shift()?.resolve(report.totals));
  const tell = (command: LoadCommand) =>
    new Promise<LoadTotals>((resolve, reject) => {
      if (gone) return reject(gone);
      waiting.push({ resolve, reject });
      child.send(command);
    });

  const { targets, allowed, perSecond = 200, timeoutMs = 5_000 } = options;
  const places = targets.map(({ address = "127.0.0.1", port }) => ({ address, port }));
  await tell({ kind: "start", places, allowed, perSecond, timeoutMs });
  return {
    pid: child.pid ?? -1,
    async allow(more) {
      await tell({ kind: "allow", allowed: more });
    },
    totals: () => tell({ kind: "totals" }),
    async stop() {
      const exited = new Promise((resolve) => child.once("exit", resolve));
      const totals = await tell({ kind: "stop" });
      child.disconnect();
      await exited;
      return totals;
    },
  };
}
