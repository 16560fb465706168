/**
 * What it costs that people look on: the same certificates issued with nobody reading and with readers, in the same
 * run against the same kind of test CA, so that the machine's speed cancels out.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { waitUntil } from "../test/support/temp.ts";
import type { ReadersReport } from "./bench-readers.ts";
import {
  cpuSeconds,
  exitOf,
  openStage,
  PROJECT,
  type Stage,
  startCertherd,
  startWorker,
  stopProcess,
} from "./stage.ts";

export interface LoadOptions {
  /** Certificates to be issued, each time. */
  names: number;
  /** Clients that read meanwhile. */
  readers: number;
  /** The API in a process of its own, instead of all in that of `certherd up`. */
  apart: boolean;
}

/** Milliseconds for which is read when all is issued: what the same answers take on this machine at rest. */
const AT_REST = 10_000;
/** What is asked for: milliseconds, and percent. */
const TARGET = { p99: 50, slower: 10 };
const ROLES_APART = ["respond", "notify", "issue", "renew", "api"] as const;

export async function loadProof(options: LoadOptions): Promise<void> {
  const { names, readers, apart } = options;
  const where = apart ? "in a process of its own" : "in the process of certherd up";
  console.log(`\n${names} names, the API ${where}:`);
  const alone = await measured(options, 0);
  const watched = await measured(options, readers);
  const pace = ({ seconds, cpu }: Measured): string =>
    `${seconds.toFixed(1)} s (${(names / seconds).toFixed(1)} a second), ${cpu.toFixed(1)} s of CPU`;
  const slower = 100 * (watched.seconds / alone.seconds - 1);
  console.log(`  nobody reads: ${pace(alone)}`);
  console.log(
    `  ${readers} clients read: ${pace(watched)}: ${slower.toFixed(1)} % slower (target: ${TARGET.slower})`,
  );
  tell("while it issues", watched.reading);
  tell("at rest", watched.atRest);
}

function tell(when: string, report: ReadersReport | undefined): void {
  if (report === undefined) return;
  const { reads, refused, streamed } = report;
  const events = `${(streamed / 1_024).toFixed(0)} KiB of events`;
  console.log(`  answers ${when}: ${refused} refused, ${events}; milliseconds (target: p99 ${TARGET.p99})`);
  for (const { path, count, p50, p99, most } of reads) {
    const times = [`p50 ${p50.toFixed(1)}`, `p99 ${p99.toFixed(1)}`, `at most ${most.toFixed(1)}`];
    console.log(`    ${path.padEnd(20)} ${String(count).padStart(6)} times  ${times.join("  ")}`);
  }
}

interface Measured {
  seconds: number;
  /** Seconds that Certherd's processes have used for the issuing, and for those who read meanwhile. */
  cpu: number;
  reading?: ReadersReport;
  atRest?: ReadersReport;
}

async function measured({ names, apart }: LoadOptions, readers: number): Promise<Measured> {
  const stage = await openStage({ gate: true, env: { PEBBLE_VA_NOSLEEP: "1" } });
  const home = join(PROJECT, ".cache/bench-load");
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const csv = join(home, "domains.csv");
  writeFileSync(csv, `${rowsOf(names, stage).join("\n")}\n`);
  const env = { ...stage.env, CERTHERD_HOME: home };
  const running: ChildProcess[] = [];
  try {
    running.push(...(apart ? await startApart(env, home) : [await startTogether(env, home)]));
    const used = (): number => running.reduce((sum, { pid }) => sum + cpuSeconds(pid ?? 0), 0);
    const usedBefore = used();
    const reading = readers === 0 ? undefined : startReaders(env, home, readers);
    const startedAt = performance.now();
    const code = await exitOf(startCertherd(["import", csv, "--wait"], env, join(home, "import.log")));
    const seconds = (performance.now() - startedAt) / 1_000;
    const cpu = used() - usedBefore;
    const report = await reading?.end();
    if (code !== 0) throw new Error(`The import ended with ${code}: see ${join(home, "import.log")}.`);
    if (report === undefined) return { seconds, cpu };
    const resting = startReaders(env, home, readers);
    await sleep(AT_REST);
    return { seconds, cpu, reading: report, atRest: await resting.end() };
  } finally {
    for (const child of running.reverse()) await stopProcess(child);
    await stage.close();
  }
}

function rowsOf(names: number, { acmePort }: Stage): string[] {
  return Array.from({ length: names }, (_, n) => `host${n}.customer${n % 97}.example,443,${acmePort}`);
}

async function startTogether(env: Record<string, string>, home: string): Promise<ChildProcess> {
  const log = join(home, "up.log");
  const up = startCertherd(["up"], env, log);
  await isSaid(log, "certherd is up");
  return up;
}

async function startApart(env: Record<string, string>, home: string): Promise<ChildProcess[]> {
  const log = (role: string): string => join(home, `${role}.log`);
  const workers: ChildProcess[] = [];
  for (const role of ROLES_APART) workers.push(startWorker(role, env, log(role)));
  await isSaid(log("api"), "The dashboard and the API are at");
  return workers;
}

async function isSaid(log: string, what: string): Promise<void> {
  await waitUntil(() => readFileSync(log, "utf8").includes(what), { timeoutMs: 30_000, what: `"${what}"` });
}

function startReaders(env: Record<string, string>, home: string, clients: number) {
  const token = readFileSync(join(home, "api-token"), "utf8").trim();
  const program = join(PROJECT, "scripts/bench-readers.ts");
  const args = [...process.execArgv, program, `http://${env.CERTHERD_LISTEN}`, token, String(clients)];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  return {
    async end(): Promise<ReadersReport> {
      child.stdin.end();
      await exitOf(child);
      return JSON.parse(text) as ReadersReport;
    },
  };
}
