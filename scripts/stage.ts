import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startGate } from "../test/support/gate.ts";
import { type LimitedCa, type LimitedCaOptions, startLimitedCa } from "../test/support/limited-ca.ts";
import { type Pebble, startPebble } from "../test/support/pebble.ts";
import { type SmtpServer, startSmtp } from "../test/support/smtp.ts";
import { freePort } from "../test/support/temp.ts";
import { ensureTools } from "./tools.ts";

export const PROJECT = dirname(dirname(fileURLToPath(import.meta.url)));

/** A test CA with its DNS, and a mail catcher: what a certificate needs of the outside world, on this machine. */
export interface Stage {
  pebble: Pebble;
  /** What keeps the CA's rate limits, where they were asked for. */
  limited?: LimitedCa;
  smtp: SmtpServer;
  /** Where the CA validates http-01. */
  acmePort: number;
  /** What a certherd process needs to use this stage. */
  env: Record<string, string>;
  /** Requests to the CA by kind. */
  requests(): Record<string, number>;
  close(): Promise<void>;
}

export interface StageOptions {
  blocklist?: string[];
  /** Puts a gate before Pebble, which locks up under many orders at once (its fault alone: test code mends it). */
  gate: boolean;
  /** Lets the CA keep Let's Encrypt's rate limits. They are kept in the gate, so there is one then. */
  limits?: LimitedCaOptions;
  /** Seconds that the CA's certificates live. */
  validityPeriod?: number;
  env?: Record<string, string>;
}

export async function openStage(options: StageOptions): Promise<Stage> {
  await ensureTools(["redis", "openssl", "pebble", "pebble-challtestsrv"]);
  const acmePort = await freePort();
  const pebble = await startPebble({
    httpPort: acmePort,
    ...(options.blocklist ? { blocklist: options.blocklist } : {}),
    ...(options.env ? { env: options.env } : {}),
    ...(options.validityPeriod ? { validityPeriod: options.validityPeriod } : {}),
  });
  const behind = { upstream: pebble.directoryUrl, rootPath: pebble.rootPath };
  const limited = options.limits && (await startLimitedCa({ ...options.limits, ...behind }));
  const gate = limited ?? (options.gate ? await startGate(behind) : undefined);
  const smtp = await startSmtp({});
  return {
    pebble,
    ...(limited && { limited }),
    smtp,
    acmePort,
    env: {
      CERTHERD_CA: gate?.directoryUrl ?? pebble.directoryUrl,
      CERTHERD_CA_ROOT: gate?.rootPath ?? pebble.rootPath,
      CERTHERD_LISTEN: `127.0.0.1:${await freePort()}`,
      CERTHERD_ACCOUNT_EMAIL: "ops@lb.example",
      // Names are looked at before they are ordered only where that is what it is about.
      CERTHERD_PREFLIGHT: "off",
    },
    requests: () => pebble.requests(),
    close: async () => {
      await gate?.stop();
      await smtp.stop();
      await pebble.stop();
    },
  };
}

/** Only what a certherd process is told on purpose: nothing of the developer's own settings. */
export function cleanEnvironment(extra: Record<string, string>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("CERTHERD_") && name !== "REDIS_URL",
  );
  return { ...Object.fromEntries(kept), ...extra };
}

/** Starts `certherd …`; its log goes to a file, or to where this process writes. */
export function startCertherd(
  args: readonly string[],
  env: Record<string, string>,
  logFile?: string,
): ChildProcess {
  return startNode("bin/certherd.js", args, env, logFile);
}

/** Starts one of workers/ by itself. */
export function startWorker(name: string, env: Record<string, string>, logFile: string): ChildProcess {
  return startNode(`dist/workers/${name}.js`, [], env, logFile);
}

function startNode(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
  logFile: string | undefined,
): ChildProcess {
  const child = spawn(process.execPath, [join(PROJECT, program), ...args], {
    env: cleanEnvironment(env),
    stdio: logFile ? ["ignore", "pipe", "pipe"] : "inherit",
  });
  if (logFile) {
    const log = createWriteStream(logFile, { flags: "a" });
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    child.once("close", () => log.end());
  }
  return child;
}

/** Asks a process to end, and waits until it has. Returns its exit code. */
export async function stopProcess(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const [code] = await ended;
  return code as number | null;
}

/** User and system time of a process so far, and of the processes it has started, seconds; a private Redis is none. */
export function cpuSeconds(pid: number): number {
  // proc(5): fields 14 and 15 of stat, in ticks of 10 ms.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  const own = (Number(fields[11]) + Number(fields[12])) / 100;
  const others = children === "" ? [] : children.split(" ").filter((child) => isNode(child));
  return others.reduce((sum, child) => sum + cpuSeconds(Number(child)), own);
}

function isNode(pid: string): boolean {
  return readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("node");
}

export async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const [code] = await once(child, "exit");
  return code as number | null;
}
