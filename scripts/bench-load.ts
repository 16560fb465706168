/**
 * What it costs that people look on: the same certificates issued with nobody reading and with readers, in the same
 * run against the same kind of test CA, so that the machine's speed cancels out.
 */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CertificateStore } from "../src/store/certificates.ts";
import { startRedis } from "../test/support/redis.ts";
import { waitUntil } from "../test/support/temp.ts";
import { fill } from "./bench-api.ts";
import type { ReadersReport } from "./bench-readers.ts";
import { cpuSeconds, exitOf, openStage, PROJECT, type Stage, startCertherd, stopProcess } from "./stage.ts";
import { timesToldOf } from "./times.ts";

export interface LoadOptions {
  /** Certificates to be issued, each time. */
  names: number;
  /** Clients that read meanwhile. */
  readers: number;
  /** How often it is done with nobody and with readers, in turns: one time alone says little on a machine of two cores. */
  rounds: number;
  /** Certificates that are there already. */
  certificates: number;
  /** Seconds at most that the CA takes to look at a name, half of it on average; with 0 the machine is what limits all. */
  validation: number;
}

/** Milliseconds for which is read before: what runs for the first time takes longer. */
const WARM_UP = 3_000;
/** Milliseconds for which is read when all is issued: what the same answers take on this machine at rest. */
const AT_REST = 10_000;
/** What is asked for: milliseconds, and percent. */
const TARGET = { p99: 50, slower: 10 };

export async function loadProof(options: LoadOptions): Promise<void> {
  const { names, readers, rounds, validation, certificates } = options;
  const ca = validation === 0 ? "at once" : `within ${validation} s`;
  console.log(
    `\n${names} names, ${rounds} times with nobody and with ${readers} clients that read, beside ${certificates} in the index; the CA validates ${ca}:`,
  );
  const alone: Measured[] = [];
  const watched: Measured[] = [];
  for (let round = 0; round < rounds; round++) {
    alone.push(await measured(options, 0));
    watched.push(await measured(options, readers));
  }
  const slower = 100 * (median(watched) / median(alone) - 1);
  tellPace(names, "nobody reads", alone);
  tellPace(names, `${readers} clients read`, watched);
  console.log(`  ${slower.toFixed(1)} % slower, of the medians (target: ${TARGET.slower})`);
  tell("while it issues", together(watched.map(({ reading }) => reading)));
  tell("at rest", together(watched.map(({ atRest }) => atRest)));
}

function tellPace(names: number, what: string, all: readonly Measured[]): void {
  const seconds = all.map((one) => one.seconds.toFixed(1)).join(", ");
  const cpu = (1_000 * all.reduce((sum, one) => sum + one.cpu, 0)) / (names * all.length);
  const pace = `${(names / median(all)).toFixed(1)} a second`;
  console.log(`  ${what}: ${seconds} s (${pace}), ${cpu.toFixed(1)} ms of CPU for each`);
}

function median(all: readonly Measured[]): number {
  const sorted = all.map(({ seconds }) => seconds).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** Of several rounds as if it was one. */
function together(reports: readonly (ReadersReport | undefined)[]): ReadersReport {
  const all: ReadersReport = { took: {}, refused: 0, streamed: 0 };
  for (const report of reports) {
    for (const [path, times] of Object.entries(report?.took ?? {}))
      all.took[path] = [...(all.took[path] ?? []), ...times];
    all.refused += report?.refused ?? 0;
    all.streamed += report?.streamed ?? 0;
  }
  return all;
}

function tell(when: string, { took, refused, streamed }: ReadersReport): void {
  const events = `${(streamed / 1_024).toFixed(0)} KiB of events`;
  console.log(`  answers ${when}: ${refused} refused, ${events}; milliseconds (target: p99 ${TARGET.p99})`);
  for (const [path, times] of Object.entries(took)) {
    console.log(`    ${path.padEnd(20)} ${String(times.length).padStart(6)} times  ${timesToldOf(times)}`);
  }
}

interface Measured {
  seconds: number;
  /** Seconds that Certherd's processes have used for the issuing, and for those who read meanwhile. */
  cpu: number;
  reading?: ReadersReport;
  atRest?: ReadersReport;
}

async function measured(
  { names, validation, certificates }: LoadOptions,
  clients: number,
): Promise<Measured> {
  const env = { PEBBLE_VA_NOSLEEP: validation === 0 ? "1" : "0", PEBBLE_VA_SLEEPTIME: String(validation) };
  const stage = await openStage({ gate: true, env });
  const home = join(PROJECT, ".cache/bench-load");
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const csv = join(home, "domains.csv");
  writeFileSync(csv, `${rowsOf(names, stage).join("\n")}\n`);
  const redis = await startRedis();
  await fill(new CertificateStore(redis.client()), certificates);
  const settings = { ...stage.env, CERTHERD_HOME: home, REDIS_URL: redis.url };
  const up = startCertherd(["up"], settings, join(home, "up.log"));
  try {
    await isSaid(join(home, "up.log"), "certherd is up");
    const readers = clients === 0 ? undefined : startReaders(settings, home, clients);
    await sleep(WARM_UP);
    readers?.begin();
    const usedBefore = cpuSeconds(up.pid ?? 0);
    const startedAt = performance.now();
    const code = await exitOf(startCertherd(["import", csv, "--wait"], settings, join(home, "import.log")));
    const seconds = (performance.now() - startedAt) / 1_000;
    const cpu = cpuSeconds(up.pid ?? 0) - usedBefore;
    if (code !== 0) throw new Error(`The import ended with ${code}: see ${join(home, "import.log")}.`);
    const reading = await readers?.end();
    if (reading === undefined) return { seconds, cpu };
    const resting = startReaders(settings, home, clients);
    await sleep(AT_REST);
    return { seconds, cpu, reading, atRest: await resting.end() };
  } finally {
    await stopProcess(up);
    await redis.stop();
    await stage.close();
  }
}

function rowsOf(names: number, { acmePort }: Stage): string[] {
  return Array.from({ length: names }, (_, n) => `host${n}.customer${n % 97}.example,443,${acmePort}`);
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
    begin: () => child.stdin.write("\n"),
    async end(): Promise<ReadersReport> {
      child.stdin.end();
      await exitOf(child);
      return JSON.parse(text) as ReadersReport;
    },
  };
}
