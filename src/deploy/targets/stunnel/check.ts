import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { AppError } from "../../../core/errors.ts";
import { isCode, SECRET_FILE, writeStaged } from "../../../store/atomic.ts";
import { type Line, trialOf, wholeTrialOf } from "./configuration.ts";

/** Milliseconds; it takes about 1 ms a service. */
const PATIENCE = { least: 30_000, service: 20 };

export interface Trial {
  program: string;
  master: string;
  connect: string;
  defaults: readonly string[];
  /** A folder of ours alone. */
  folder: string;
}

/** A certificate as it lies ready. */
export interface Candidate {
  id: string;
  name: string;
  cert: string;
}

/**
 * Lets the real program load the certificates, in a configuration that binds nothing and ends by itself, and gives
 * its words about those that it would not load. stunnel ends at the first of these: it is asked again about those
 * behind it, so that each is loaded about once. Throws `target_refused` where it is not about one of them.
 */
export async function tryOut(trial: Trial, candidates: readonly Candidate[]): Promise<Map<string, string>> {
  const refused = new Map<string, string>();
  const secrets = join(trial.folder, "trial.secrets");
  await writeStaged(secrets, `trial:${randomBytes(32).toString("hex")}\n`, SECRET_FILE);
  try {
    let rest = candidates;
    while (rest.length > 0) {
      // One service each: what is tried is the certificate, and its names are all alike.
      const services = rest.map(({ name, cert }, index) => ({
        section: `trial-${index}`,
        name,
        cert,
        connect: trial.connect,
      }));
      const outcome = await run(
        trial.program,
        trialOf(services, trial.master, { ...trial, secrets }),
        rest.length,
      );
      if (outcome.successful) break;
      const index = Number(/^Service \[trial-(\d+)\]/m.exec(outcome.words.join("\n"))?.[1]);
      const bad = rest[index];
      if (!bad) throw failed(trial.program, outcome.words);
      refused.set(bad.id, said(outcome.words.filter((word) => !word.startsWith("Service [trial-"))));
      rest = rest.slice(index + 1);
    }
  } finally {
    await unlink(secrets).catch(() => undefined);
  }
  return refused;
}

/** Why stunnel would not start with its main configuration; undefined where it would. */
export async function tryWhole(
  program: string,
  lines: readonly Line[],
  services: number,
): Promise<string | undefined> {
  const outcome = await run(program, wholeTrialOf(lines), services);
  return outcome.successful ? undefined : said(outcome.words);
}

/** "stunnel 5.68 on x86_64-pc-linux-gnu platform" */
export async function versionOf(program: string): Promise<string> {
  const { all } = await spawned(program, ["-version"], "", PATIENCE.least);
  const line = all.find((text) => /stunnel \d/.test(text));
  if (line === undefined) throw failed(program, all);
  return line;
}

interface Outcome {
  successful: boolean;
  /** Its errors, in order. */
  words: string[];
}

async function run(program: string, configuration: string, services: number): Promise<Outcome> {
  const patience = PATIENCE.least + services * PATIENCE.service;
  const { all } = await spawned(program, ["-fd", "0"], configuration, patience);
  return {
    successful: all.includes("Configuration successful"),
    words: all.flatMap((line) => {
      const word = /^\[!\] (.+)$/.exec(line)?.[1];
      return word === undefined || isNoise(word) ? [] : [word];
    }),
  };
}

/** What it says in every case, or says again after the reason. */
export function isNoise(word: string): boolean {
  return /^(No trusted certificates found|Configuration failed|Failed to reload|error queue:|Unhandled error library|Binding service)/.test(
    word,
  );
}

export function said(words: readonly string[]): string {
  const text = words.join("; ");
  if (text === "") return "it gave no reason";
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

/** Lines of what a program wrote, those about single steps left out: there are a dozen of them for each service. */
async function spawned(
  program: string,
  args: readonly string[],
  input: string,
  timeout: number,
): Promise<{ all: string[] }> {
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe"], timeout, killSignal: "SIGKILL" });
  // It may end before it has read everything.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const all: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    if (line.startsWith("[ ]")) return;
    all.push(line.replace(/^\[[^!]\] /, ""));
  });
  try {
    await once(child, "close");
  } catch (error) {
    throw new AppError(
      `The program ${program} cannot be run${isCode(error, "ENOENT") ? ", as it is not there" : ""}. Install stunnel, or name it as program of this target.`,
      { code: "node_misconfigured", disposition: "node", cause: error },
    );
  }
  return { all };
}

function failed(program: string, words: readonly string[]): AppError {
  return new AppError(
    `${program} could not try the new certificates out, so nothing was changed. It says: ${said(words)}.`,
    { code: "target_refused", disposition: "node" },
  );
}
