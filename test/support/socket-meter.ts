/**
 * Stands before HAProxy's runtime socket and takes the time of what goes over it, in a process of its own: the test's
 * event loop, which has the CA's requests to pass on, must not be counted.
 */
import { fork } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { MeterCommand, MeterReport } from "./socket-meter-proxy.ts";
import { atExit, tempDir } from "./temp.ts";

const PROXY = fileURLToPath(new URL("./socket-meter-proxy.ts", import.meta.url));

/** From a command's first byte to the prompt behind its answer; milliseconds. */
export interface SocketTotals {
  commands: number;
  /** Certificates put into use, each time one was. */
  commits: number;
  /** Of all commands, those that are about no certificate too. */
  all: number;
  longest: number;
  /** Of all commands about one certificate together, the median over the certificates. */
  median: number;
}

export interface SocketMeter {
  /** To be used in place of HAProxy's own. */
  readonly socket: string;
  totals(): Promise<SocketTotals>;
  /** Resolves when so many further commands have begun to go by. */
  after(commands: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startSocketMeter(upstream: string): Promise<SocketMeter> {
  const path = join(tempDir("certherd-meter"), "admin.sock");
  const child = fork(PROXY, [], {
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  atExit(() => child.kill("SIGKILL"));
  const asked: ((totals: SocketTotals) => void)[] = [];
  let reached: () => void = () => undefined;
  child.on("message", (report: MeterReport) => {
    if (report.kind === "reached") reached();
    else asked.shift()?.(report.totals);
  });
  const tell = (command: MeterCommand): void => void child.send(command);
  const ask = (command: MeterCommand): Promise<SocketTotals> =>
    new Promise((resolve, reject) => {
      asked.push(resolve);
      child.once("exit", () => reject(new Error("the process before HAProxy's socket has ended")));
      tell(command);
    });
  await ask({ kind: "start", upstream, path });
  return {
    socket: path,
    totals: () => ask({ kind: "totals" }),
    after: (commands) =>
      new Promise((resolve) => {
        reached = resolve;
        tell({ kind: "after", commands });
      }),
    async stop() {
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.disconnect();
      await exited;
    },
  };
}
