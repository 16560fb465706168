import { spawn } from "node:child_process";
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { cleanEnvironment, PROJECT, type Stage } from "../../scripts/stage.ts";
import { tempDir } from "./temp.ts";

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface ListedCertificate {
  name: string;
  names: string[];
  status: string;
  reason?: string;
  detail?: string;
  until?: string;
  serial?: string;
  notBefore?: string;
  notAfter?: string;
  renewAt?: string;
  error?: { code: string; type: string; detail: string };
}

/** One CERTHERD_HOME with its private Redis, driven from outside as a user drives it. */
export class Installation {
  readonly home: string;
  readonly env: Record<string, string>;

  constructor(stage: Pick<Stage, "env">, extra: Record<string, string> = {}) {
    this.home = tempDir("certherd-e2e-");
    this.env = { ...stage.env, CERTHERD_HOME: this.home, ...extra };
  }

  /** Runs a command to its end. `bin` is certherd or lb-letsencrypt. */
  async run(args: readonly string[], bin = "certherd"): Promise<Ran> {
    const child = spawn(process.execPath, [join(PROJECT, `bin/${bin}.js`), ...args], {
      env: cleanEnvironment(this.env),
      // Any directory will do.
      cwd: "/",
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { code, stdout, stderr };
  }

  /** Runs a command with `--json` and parses what it prints. */
  async json<T>(...args: string[]): Promise<T> {
    const { stdout, stderr } = await this.run([...args, "--json"]);
    try {
      return JSON.parse(stdout) as T;
    } catch {
      throw new Error(`certherd ${args.join(" ")} printed no JSON: ${stdout}${stderr}`);
    }
  }

  async list(): Promise<ListedCertificate[]> {
    return (await this.json<{ certificates: ListedCertificate[] }>("list")).certificates;
  }

  /** What was asked for on this host, oldest first: action and detail. */
  audited(): string[] {
    return readFileSync(join(this.home, "audit.jsonl"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { action: string; detail?: string })
      .map(({ action, detail }) => (detail === undefined ? action : `${action} ${detail}`));
  }

  /** Writes a CSV of the given lines, and returns its path. */
  csv(name: string, lines: readonly string[]): string {
    const path = join(this.home, name);
    writeFileSync(path, `${lines.join("\n")}\n`);
    return path;
  }

  config(yaml: string): void {
    const path = join(this.home, "certherd.yaml");
    writeFileSync(path, yaml);
    chmodSync(path, 0o600);
    this.env.CERTHERD_CONFIG = path;
  }

  log(): string {
    return readFileSync(join(this.home, "certherd.log"), "utf8");
  }

  /** Loses all that the private Redis holds, whether it runs or not. */
  async lose(): Promise<void> {
    await this.close();
    rmSync(join(this.home, "redis"), { recursive: true, force: true });
  }

  /** Stops the private Redis, which a killed process leaves running. */
  async close(): Promise<void> {
    const redis = new Redis(join(this.home, "redis/redis.sock"), {
      lazyConnect: true,
      retryStrategy: () => null,
    });
    redis.on("error", () => undefined);
    await redis
      .connect()
      .then(() => redis.shutdown("NOSAVE"))
      .catch(() => undefined);
    redis.disconnect();
  }
}

/** How many of a list stand in each status. */
export function byStatus(certificates: readonly { status: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of certificates) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
