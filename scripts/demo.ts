/**
 * The whole way once, on this machine alone: a test CA, its DNS and a mail catcher are started, a CSV is imported,
 * and what came of it is shown.
 *
 * --rows N    N made-up names instead of those of fixtures/demo.csv
 * --haproxy   with HAProxy in front, by which the CA comes in and certificates are served
 * --stunnel   the same with stunnel, which the CA does not come through
 * --keep      leaves everything running until Ctrl-C
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Balancer, type BalancerKind, balancerTools, startBalancer } from "./demo-balancer.ts";
import { BLOCKED, MALFORMED, MOVED, writeCsv, writeForecastCsv } from "./demo-names.ts";
import {
  askCertherd,
  interrupted,
  listenForInterrupt,
  runCertherd,
  say,
  startUp,
  untilInterrupted,
  writeSettings,
} from "./demo-process.ts";
import { handshakeLine, type Listed, showHandshakes, showMail, showTable, tryLine } from "./demo-show.ts";
import { openStage, PROJECT, type Stage } from "./stage.ts";
import { MissingToolError } from "./tools.ts";

interface Options {
  rows: number | undefined;
  balancer: BalancerKind | undefined;
  keep: boolean;
}

/** Where the customer's name leads that has moved away. */
const ELSEWHERE = "127.0.0.9";
/** Names in the list that the forecast is made for. */
const FORECAST = 4_000;
/** From here on many orders overlap at Pebble, which it does not survive. */
const GATE_FROM = 100;
/** Names that lines to try are printed for. */
const TO_TRY = 3;

const options = optionsGiven();
const { rows, keep } = options;
const home = join(PROJECT, ".cache/demo");
/** What was started, to be stopped in the opposite order. */
const started: { stop(): Promise<void> }[] = [];

listenForInterrupt();
rmSync(home, { recursive: true, force: true });
mkdirSync(home, { recursive: true, mode: 0o700 });
spawnSync("npm", ["run", "--silent", "build"], { cwd: PROJECT, stdio: "inherit" });
try {
  process.exitCode = await demo();
} catch (error) {
  if (interrupted.aborted) process.exitCode = 130;
  else if (error instanceof MissingToolError) {
    console.error(error.message);
    process.exitCode = 3;
  } else throw error;
} finally {
  for (const each of started.reverse()) await each.stop();
}

async function demo(): Promise<number> {
  if (options.balancer) await balancerTools(options.balancer);
  say("Starting a private Redis, the test CA Pebble with its own DNS, and a mail catcher …");
  const stage = await openStage({ blocklist: [BLOCKED], gate: (rows ?? 0) > GATE_FROM });
  started.push({ stop: () => stage.close() });
  await stage.pebble.dns.addA(MOVED, [ELSEWHERE]);
  const balancer = options.balancer && (await startBalancer(options.balancer, stage.acmePort));
  if (balancer) {
    started.push(balancer);
    for (const line of balancer.words) say(line);
  }
  const env = settingsFor(stage, balancer);
  const csv = join(home, "domains.csv");
  const acmePort = balancer?.acmePort ?? stage.acmePort;
  const expected = writeCsv(csv, rows, { acmePort, smtpPort: stage.smtp.port });
  started.push(await startUp(env, join(home, "up.log")));

  const what = rows === undefined ? "fixtures/demo.csv" : `${rows} rows`;
  say(`\n$ certherd import ${what} --triage`);
  await runCertherd(["import", csv, "--triage"], env);
  say(`\n$ certherd import ${what} --wait`);
  const startedAt = Date.now();
  await runCertherd(["import", csv, "--wait"], env);
  const seconds = (Date.now() - startedAt) / 1_000;

  const { certificates } = askCertherd<{ certificates: Listed[] }>(["list"], env);
  const wanted = balancer ? "serving" : "issued";
  const done = certificates.filter(({ status }) => status === wanted);
  if (rows === undefined) showTable(wanted.toUpperCase(), done);
  const wrong = balancer ? await showServing(balancer, done) : 0;
  const mailed = await showMail(stage.smtp, rows === undefined ? 2 : 1);
  if (!balancer) await showForecast();
  conclude(stage, done.length, wanted, seconds);
  if (keep) await leaveRunning(env, balancer, done);
  if (done.length === expected && mailed > 0 && wrong === 0) return 0;
  console.error(
    `Expected ${expected} certificates and mail about them; got ${done.length} and ${mailed}, and ${wrong} names that something else is served for.`,
  );
  return 1;
}

function optionsGiven(): Options {
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    options: { rows: { type: "string" }, haproxy: flag, stunnel: flag, keep: flag },
  });
  const refuse = (why: string): never => {
    console.error(why);
    process.exit(2);
  };
  if (values.haproxy && values.stunnel) refuse("Give --haproxy or --stunnel, not both.");
  const count = values.rows === undefined ? undefined : Number(values.rows);
  if (count !== undefined && !(Number.isInteger(count) && count > 0))
    refuse(`--rows is "${values.rows}"; give a whole number of names.`);
  const balancer = values.haproxy ? "haproxy" : values.stunnel ? "stunnel" : undefined;
  return { rows: count, balancer, keep: values.keep };
}

function settingsFor(stage: Stage, balancer: Balancer | undefined): Record<string, string> {
  const config = join(home, "certherd.yaml");
  writeFileSync(config, `vips: [127.0.0.1]\n${balancer?.yaml ?? ""}`);
  return {
    ...stage.env,
    CERTHERD_HOME: home,
    CERTHERD_CONFIG: config,
    CERTHERD_PREFLIGHT: "require",
    CERTHERD_DNS: stage.pebble.dns.address,
    CERTHERD_HTTP_PORT: String(stage.acmePort),
  };
}

/** How many of the names that were asked for get something else. */
async function showServing({ port }: Balancer, done: readonly Listed[]): Promise<number> {
  const wrong = await showHandshakes(port, done);
  const [first] = done;
  return first && !tryLine(handshakeLine(port, first.name)) ? wrong + 1 : wrong;
}

/** What a list of thousands would take at Let's Encrypt. It is asked nothing for that. */
async function showForecast(): Promise<void> {
  const csv = join(home, "forecast.csv");
  writeForecastCsv(csv, FORECAST);
  say(`\n$ CERTHERD_CA=letsencrypt certherd plan ${FORECAST}-names.csv`);
  const env = { CERTHERD_HOME: join(home, "forecast"), CERTHERD_CA: "letsencrypt" };
  await runCertherd(["plan", csv], env);
}

function conclude(stage: Stage, done: number, wanted: string, seconds: number): void {
  const requests = Object.values(stage.requests()).reduce((sum, count) => sum + count, 0);
  say(
    `\nFiles: ${join(home, "certificates")}/<name>/ (fullchain.cer, <name>.key, …), log: ${join(home, "certherd.log")}`,
  );
  say(
    `${done} certificates ${wanted} in ${seconds.toFixed(1)} s (${(done / seconds).toFixed(0)} a second), ${(requests / Math.max(1, done)).toFixed(1)} requests to the CA each.`,
  );
  if (rows === undefined)
    say(
      `Meant to fail: ${MALFORMED} (malformed), ${MOVED} (leads elsewhere: waits for its owner), ${BLOCKED} (the CA refuses it).`,
    );
}

async function leaveRunning(
  env: Record<string, string>,
  balancer: Balancer | undefined,
  done: readonly Listed[],
): Promise<void> {
  const settings = join(home, "settings.sh");
  writeSettings(settings, env);
  const tokenFile = join(home, "api-token");
  say("\nAll of it goes on running until Ctrl-C, which ends it.");
  say(`Dashboard: http://${env.CERTHERD_LISTEN}/`);
  say(`  Sign in with the token in ${tokenFile}`);
  say("In another shell:");
  say(`  . ${settings}`);
  say(`  curl -H "Authorization: Bearer $(cat ${tokenFile})" http://${env.CERTHERD_LISTEN}/v1/certificates`);
  say(`  node ${join(PROJECT, "bin/certherd.js")} show ${done[0]?.name ?? ""}`);
  if (balancer) for (const { name } of done.slice(-TO_TRY)) say(`  ${handshakeLine(balancer.port, name)}`);
  await untilInterrupted();
  say("\nEnding …");
}
