/**
 * How fast, how many requests and how much memory: Certherd beside a bare loop over acme-client, against the same
 * test CA in the same run, so that the machine's speed cancels out. `--rows N` (1000), `--loop N` (200) names.
 * Then how much of a CA's limits is used, beside what an ideal client would use: `--limited N` (600) names.
 *
 * `--load` does something else: what it costs that 50 clients read while certificates are issued (bench-load.ts), of
 * `--rows N` (1000) names, read by `--readers N` (50), `--rounds N` (3) times each, beside
 * `--certificates N` (100,000) that are there already, at a CA that takes up to
 * `--validation N` (3) seconds to validate a name; 0 is a CA that takes none, where the machine is all that limits.
 * `--import` measures something else, and nothing of that: what the API takes for 10,000, 100,000 and 300,000 rows.
 * `--api` measures pages of certificates: bench-api.ts.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { limitedOf, limitsYaml } from "../test/support/limits-yaml.ts";
import { waitUntil } from "../test/support/temp.ts";
import { benchApi } from "./bench-api.ts";
import { benchImport } from "./bench-import.ts";
import { loadProof } from "./bench-load.ts";
import { bareLoop } from "./bench-loop.ts";
import { cpuSeconds, exitOf, openStage, PROJECT, type Stage, startCertherd, stopProcess } from "./stage.ts";

interface Result {
  what: string;
  certificates: number;
  seconds: number;
  requestsEach: number;
  cpuEach: string;
  peakMemory: string;
}

const { values } = parseArgs({
  options: {
    rows: { type: "string" },
    loop: { type: "string" },
    limited: { type: "string" },
    load: { type: "boolean", default: false },
    readers: { type: "string" },
    rounds: { type: "string" },
    validation: { type: "string" },
    import: { type: "boolean", default: false },
    api: { type: "boolean", default: false },
    certificates: { type: "string" },
    seconds: { type: "string" },
  },
});
const rows = Number(values.rows ?? 1_000);
if (values.load)
  await loadProof({
    names: rows,
    readers: Number(values.readers ?? 50),
    rounds: Number(values.rounds ?? 3),
    certificates: Number(values.certificates ?? 100_000),
    validation: Number(values.validation ?? 3),
  });
else if (values.import) await benchImport([10_000, 100_000, 300_000]);
else if (values.api)
  await benchApi({
    certificates: Number(values.certificates ?? 100_000),
    seconds: Number(values.seconds ?? 20),
  });
else await beside();

async function beside(): Promise<void> {
  report([await measured(rows, certherd), await measured(Number(values.loop ?? 200), loop)]);
  await limited(Number(values.limited ?? 600));
}

/** A stage of its own for each, as what one leaves behind at the CA would slow the other. */
async function measured(rows: number, run: (stage: Stage, rows: number) => Promise<Result>): Promise<Result> {
  const stage = await openStage({ gate: true });
  try {
    return await run(stage, rows);
  } finally {
    await stage.close();
  }
}

async function certherd(stage: Stage, rows: number): Promise<Result> {
  const home = join(PROJECT, ".cache/bench");
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const csv = join(home, "domains.csv");
  const lines = Array.from(
    { length: rows },
    (_, n) => `host${n}.customer${n % 97}.example,443,${stage.acmePort}`,
  );
  writeFileSync(csv, `${lines.join("\n")}\n`);
  const env = { ...stage.env, CERTHERD_HOME: home };
  const log = join(home, "up.log");
  const up = startCertherd(["up"], env, log);
  try {
    await waitUntil(() => readFileSync(log, "utf8").includes("certherd is up"), {
      timeoutMs: 20_000,
      what: "certherd up to start",
    });
    const startedAt = Date.now();
    await exitOf(startCertherd(["import", csv, "--wait"], env));
    const seconds = (Date.now() - startedAt) / 1_000;
    const pid = up.pid ?? 0;
    return {
      what: "certherd up",
      certificates: rows,
      seconds,
      requestsEach: total(stage) / rows,
      cpuEach: `${((cpuSeconds(pid) * 1_000) / rows).toFixed(1)} ms`,
      peakMemory: `${peakMegabytes(pid)} MB`,
    };
  } finally {
    await stopProcess(up);
  }
}

/** Let's Encrypt's limits with all periods divided by 360: 300 orders at once, and then ten a second. */
async function limited(rows: number): Promise<void> {
  if (rows === 0) return;
  const scale = 360;
  const stage = await openStage({ gate: true, limits: { scale } });
  const home = join(PROJECT, ".cache/bench-limits");
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const [csv, config] = [join(home, "domains.csv"), join(home, "certherd.yaml")];
  writeFileSync(config, limitsYaml(stage, { scale }));
  const lines = Array.from(
    { length: rows },
    (_, n) => `host${n}.customer${n % 97}.example,443,${stage.acmePort}`,
  );
  writeFileSync(csv, `${lines.join("\n")}\n`);
  const { CERTHERD_CA: _, CERTHERD_CA_ROOT: __, ...env } = stage.env;
  try {
    const startedAt = Date.now();
    const ours = { ...env, CERTHERD_HOME: home, CERTHERD_CONFIG: config };
    const log = join(home, "import.log");
    const code = await exitOf(startCertherd(["import", csv, "--wait"], ours, log));
    if (code !== 0) throw new Error(`The import ended with ${code}: see ${log}.`);
    const seconds = (Date.now() - startedAt) / 1_000;
    const { limits, refusals } = limitedOf(stage).stats();
    const { letThrough, wouldHaveAllowed } = limits.newOrders;
    const used = ((100 * letThrough) / wouldHaveAllowed).toFixed(1);
    console.log(
      `\n${rows} names at a CA with limits (periods divided by ${scale}): ${seconds.toFixed(1)} s; ${letThrough} orders where an ideal client had made ${wouldHaveAllowed} in that time (${used} %), ${refusals.length} refused.`,
    );
  } finally {
    await stage.close();
  }
}

async function loop(stage: Stage, rows: number): Promise<Result> {
  const answers = new Map<string, string>();
  const server = createServer((request, response) => {
    response.end(answers.get(request.url?.split("/").at(-1) ?? "") ?? "");
  });
  await new Promise<void>((resolve) => server.listen(stage.acmePort, "127.0.0.1", resolve));
  const before = process.cpuUsage();
  const startedAt = Date.now();
  await bareLoop({
    directory: stage.env.CERTHERD_CA ?? "",
    rootPem: readFileSync(stage.env.CERTHERD_CA_ROOT ?? "", "utf8"),
    names: Array.from({ length: rows }, (_, n) => `loop${n}.customer${n % 97}.example`),
    answers,
    concurrency: 20,
  });
  const seconds = (Date.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(before);
  server.closeAllConnections();
  server.close();
  return {
    what: "acme-client, 20 at once",
    certificates: rows,
    seconds,
    requestsEach: total(stage) / rows,
    // The gate before the CA runs in this process too, and is counted here.
    cpuEach: `${((user + system) / 1_000 / rows).toFixed(1)} ms*`,
    peakMemory: "",
  };
}

function total(stage: Stage): number {
  return Object.values(stage.requests()).reduce((sum, count) => sum + count, 0);
}

function peakMegabytes(pid: number): number {
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(peak) / 1_024);
}

function report(rows: readonly Result[]): void {
  const cells = rows.map(({ what, certificates, seconds, requestsEach, cpuEach, peakMemory }) => [
    what,
    String(certificates),
    seconds.toFixed(1),
    (certificates / seconds).toFixed(1),
    requestsEach.toFixed(2),
    cpuEach,
    peakMemory,
  ]);
  const head = ["", "certificates", "seconds", "per second", "requests each", "CPU each", "peak memory"];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of [head, ...cells])
    console.log(
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join("  "),
    );
  console.log("* with the gate before the test CA, which runs in the same process.");
}
