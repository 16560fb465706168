/**
 * Runs the tests: makes sure of the programs that they talk to, builds what they start, and then runs them.
 * `--full` adds the long ones; anything else goes to vitest (a file, -t "a name").
 */
import { spawnSync } from "node:child_process";
import { isBuilt } from "./fresh.ts";
import { ensureTools, MissingToolError } from "./tools.ts";

const args = process.argv.slice(2);
const full = args.includes("--full");
const rest = args.filter((arg) => arg !== "--full");

function run(command: string, commandArgs: readonly string[]): void {
  const env = { ...process.env, ...(full ? { LONG_TESTS: "1" } : {}) };
  const { status } = spawnSync(command, commandArgs, { stdio: "inherit", env });
  if (status !== 0) process.exit(status ?? 1);
}

try {
  await ensureTools(["redis", "openssl", "pebble", "pebble-challtestsrv"]);
} catch (error) {
  if (!(error instanceof MissingToolError)) throw error;
  console.error(error.message);
  process.exit(3);
}
if (!isBuilt()) run("npm", ["run", "--silent", "build"]);
const projects = ["unit", "contract", "integration", "e2e", "e2e-alone", ...(full ? ["full"] : [])];
run("npx", ["vitest", "run", ...projects.flatMap((project) => ["--project", project]), ...rest]);
