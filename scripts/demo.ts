/**
 * The whole way once, on this machine alone: a test CA, its DNS and a mail catcher are started, a CSV is imported,
 * and what came of it is shown. `--rows N` makes N names instead of those of fixtures/demo.csv.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { waitUntil } from "../test/support/temp.ts";
import {
  cleanEnvironment,
  exitOf,
  openStage,
  PROJECT,
  type Stage,
  startCertherd,
  stopProcess,
} from "./stage.ts";
import { MissingToolError } from "./tools.ts";

/** What fixtures/demo.csv holds that must fail: the reason is part of what the demo shows. */
const MALFORMED = "shop_.atelier-sud.fr";
const MOVED = "gone.polder.nl";
const BLOCKED = "blocked.sierra-bikes.es";
/** Where the customer's name leads that has moved away. */
const ELSEWHERE = "127.0.0.9";
/** Names in the list that the forecast is made for. */
const FORECAST = 4_000;
/** From here on many orders overlap at Pebble, which it does not survive. */
const GATE_FROM = 100;

interface Listed {
  name: string;
  names: string[];
  status: string;
  notAfter?: string;
  serial?: string;
  detail?: string;
  until?: string;
}

const rows = rowsAsked();
const home = join(PROJECT, ".cache/demo");
rmSync(home, { recursive: true, force: true });
mkdirSync(home, { recursive: true, mode: 0o700 });
spawnSync("npm", ["run", "--silent", "build"], { cwd: PROJECT, stdio: "inherit" });
try {
  process.exitCode = await demo();
} catch (error) {
  if (!(error instanceof MissingToolError)) throw error;
  console.error(error.message);
  process.exitCode = 3;
}

async function demo(): Promise<number> {
  say("Starting a private Redis, the test CA Pebble with its own DNS, and a mail catcher …");
  const stage = await openStage({ blocklist: [BLOCKED], gate: (rows ?? 0) > GATE_FROM });
  await stage.pebble.dns.addA(MOVED, [ELSEWHERE]);
  const config = join(home, "certherd.yaml");
  writeFileSync(config, "vips: [127.0.0.1]\n");
  const env = {
    ...stage.env,
    CERTHERD_HOME: home,
    CERTHERD_CONFIG: config,
    CERTHERD_PREFLIGHT: "require",
    CERTHERD_DNS: stage.pebble.dns.address,
    CERTHERD_HTTP_PORT: String(stage.acmePort),
  };
  const csv = join(home, "domains.csv");
  const expected = writeCsv(csv, stage);
  const up = startCertherd(["up"], env, join(home, "up.log"));
  try {
    await waitUntil(() => readFileSync(join(home, "up.log"), "utf8").includes("certherd is up"), {
      timeoutMs: 20_000,
      what: "certherd up to start",
    });
    const what = rows === undefined ? "fixtures/demo.csv" : `${rows} rows`;
    say(`\n$ certherd import ${what} --triage`);
    await exitOf(startCertherd(["import", csv, "--triage"], env));
    say(`\n$ certherd import ${what} --wait`);
    const startedAt = Date.now();
    await exitOf(startCertherd(["import", csv, "--wait"], env));
    const seconds = (Date.now() - startedAt) / 1_000;
    const listed = list(env);
    if (rows === undefined) showTable(listed);
    const mailed = await showMail(stage);
    await showForecast();
    return conclude(stage, listed, expected, mailed, seconds);
  } finally {
    await stopProcess(up);
    await stage.close();
  }
}

function rowsAsked(): number | undefined {
  const { values } = parseArgs({ options: { rows: { type: "string" } } });
  if (values.rows === undefined) return undefined;
  const count = Number(values.rows);
  if (Number.isInteger(count) && count > 0) return count;
  console.error(`--rows is "${values.rows}"; give a whole number of names.`);
  process.exit(2);
}

/** The CSV with ports that are free here; how many of its names must be issued. */
function writeCsv(path: string, { acmePort, smtp }: Stage): number {
  if (rows === undefined) {
    const text = readFileSync(join(PROJECT, "fixtures/demo.csv"), "utf8");
    writeFileSync(path, text.replaceAll(",8888,", `,${acmePort},`).replaceAll(",2525", `,${smtp.port}`));
    return text.trim().split("\n").length - 2 - 3;
  }
  const mail = `certherd@lb.example,ops@lb.example,127.0.0.1,${smtp.port}`;
  const lines = Array.from(
    { length: rows },
    (_, n) => `host${n}.customer${n % 97}.example,443,${acmePort},${mail}`,
  );
  writeFileSync(path, `${lines.join("\n")}\n`);
  return rows;
}

/** What a list of thousands would take at Let's Encrypt. It is asked nothing for that. */
async function showForecast(): Promise<void> {
  const csv = join(home, "forecast.csv");
  const lines = Array.from({ length: FORECAST }, (_, n) =>
    n % 40 === 0 ? `shop${n}.busy.example` : `www.customer${n}.example`,
  );
  writeFileSync(csv, `${lines.join("\n")}\n`);
  say(`\n$ CERTHERD_CA=letsencrypt certherd plan ${FORECAST}-names.csv`);
  const env = { CERTHERD_HOME: join(home, "forecast"), CERTHERD_CA: "letsencrypt" };
  await exitOf(startCertherd(["plan", csv], env));
}

function list(env: Record<string, string>): Listed[] {
  const { stdout } = spawnSync(process.execPath, [join(PROJECT, "bin/certherd.js"), "list", "--json"], {
    env: cleanEnvironment(env),
    encoding: "utf8",
    maxBuffer: 1024 * 1024 * 1024,
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(stdout).certificates;
}

function showTable(listed: readonly Listed[]): void {
  const issued = listed.filter(({ status }) => status === "issued");
  say(`\n${"ISSUED".padEnd(40)}  EXPIRES     SERIAL`);
  for (const { name, names, notAfter, serial } of issued) {
    const more = names.length > 1 ? ` (+${names.length - 1})` : "";
    say(`${(name + more).padEnd(40)}  ${notAfter?.slice(0, 10)}  ${serial}`);
  }
}

/** The digest comes when the import ends, the mail about what needs a person some seconds after. */
async function showMail(stage: Stage): Promise<number> {
  const wanted = rows === undefined ? 2 : 1;
  const { messages } = stage.smtp;
  await waitUntil(() => messages.length >= wanted, { timeoutMs: 30_000, what: "the mail" }).catch(
    () => undefined,
  );
  for (const { to, subject, text } of messages) {
    const body = text.trim().split("\n");
    const shown = [...body.slice(0, 12), ...(body.length > 12 ? [`… (${body.length - 12} more lines)`] : [])];
    say(`\nMail to ${to.join(", ")}: ${subject}\n${shown.map((line) => `  | ${line}`).join("\n")}`);
  }
  return messages.length;
}

function conclude(
  stage: Stage,
  listed: readonly Listed[],
  expected: number,
  mailed: number,
  seconds: number,
): number {
  const issued = listed.filter(({ status }) => status === "issued").length;
  const requests = Object.values(stage.requests()).reduce((sum, count) => sum + count, 0);
  say(
    `\nFiles: ${join(home, "certificates")}/<name>/ (fullchain.cer, <name>.key, …), log: ${join(home, "certherd.log")}`,
  );
  say(
    `${issued} certificates in ${seconds.toFixed(1)} s (${(issued / seconds).toFixed(0)} a second), ${(requests / Math.max(1, issued)).toFixed(1)} requests to the CA each.`,
  );
  if (rows === undefined)
    say(
      `Meant to fail: ${MALFORMED} (malformed), ${MOVED} (leads elsewhere: waits for its owner), ${BLOCKED} (the CA refuses it).`,
    );
  if (issued === expected && mailed > 0) return 0;
  console.error(`Expected ${expected} certificates and mail about them; got ${issued} and ${mailed}.`);
  return 1;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
