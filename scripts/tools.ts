/**
 * Finds the programs that tests, demo and bench run for real (Redis, Pebble, ...), and fetches what is missing.
 * What is on PATH is used. Otherwise a Debian or Ubuntu machine gets it from its own packages: installed, or
 * only unpacked into the project's cache where the system's version is too old to be of use. Anywhere else one
 * sentence says what to install.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdirSync, realpathSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hasApt, installPackage, unpackNewest, withLock } from "./tools-apt.ts";

const CACHE = fileURLToPath(new URL("../.cache/tools", import.meta.url));

interface Tool {
  /** Names the program goes by; the first one found is used. */
  binaries: readonly string[];
  /** Debian packages that hold it; the first one that the machine's sources offer is taken. */
  packages: readonly string[];
  /**
   * "install" takes the system's own package; "unpack" takes the newest one of the distribution's suites into
   * the cache and leaves the system as it is.
   */
  how: "install" | "unpack";
  /** Arguments and what they must print: tells that the program runs here, and that it is not a namesake. */
  probe: { args: readonly string[]; prints: RegExp };
  /** How to get it where there is no apt-get. */
  hint: string;
}

const PEBBLE_HINT = "a release of Let's Encrypt's Pebble (pebble and pebble-challtestsrv) on PATH";

const TOOLS = {
  redis: {
    binaries: ["redis-server", "valkey-server"],
    packages: ["redis-server", "valkey-server"],
    how: "install",
    probe: { args: ["--version"], prints: /v=\d/ },
    hint: "redis-server or valkey-server from your system's packages",
  },
  openssl: {
    binaries: ["openssl"],
    packages: ["openssl"],
    how: "install",
    probe: { args: ["version"], prints: /SSL/ },
    hint: "openssl from your system's packages",
  },
  pebble: {
    binaries: ["pebble"],
    packages: ["pebble"],
    how: "unpack",
    // A service manager is called "pebble" too: it knows no -dnsserver.
    probe: { args: ["-help"], prints: /-dnsserver/ },
    hint: PEBBLE_HINT,
  },
  "pebble-challtestsrv": {
    binaries: ["pebble-challtestsrv"],
    packages: ["pebble"],
    how: "unpack",
    probe: { args: ["-help"], prints: /-tlsalpn01/ },
    hint: PEBBLE_HINT,
  },
  haproxy: {
    binaries: ["haproxy"],
    packages: ["haproxy"],
    how: "install",
    // The older ones call themselves HA-Proxy.
    probe: { args: ["-v"], prints: /HA-?Proxy version [23]\./ },
    hint: "haproxy (2.2 or newer) from your system's packages",
  },
  named: {
    binaries: ["named"],
    packages: ["bind9"],
    how: "install",
    probe: { args: ["-v"], prints: /^BIND 9\./ },
    hint: "bind9 (the name server named) from your system's packages",
  },
  certbot: {
    binaries: ["certbot"],
    packages: ["certbot"],
    how: "install",
    probe: { args: ["--version"], prints: /^certbot \d/ },
    hint: "certbot from your system's packages",
  },
  ip: {
    binaries: ["ip"],
    packages: ["iproute2"],
    how: "install",
    probe: { args: ["-V"], prints: /iproute2/ },
    hint: "iproute2 from your system's packages",
  },
  stunnel: {
    binaries: ["stunnel", "stunnel4"],
    packages: ["stunnel4", "stunnel"],
    how: "install",
    // Debian's stunnel3 is a script around it, with other arguments.
    probe: { args: ["-version"], prints: /stunnel 5\.\d+ on / },
    hint: "stunnel 5 from your system's packages",
  },
  chromium: {
    binaries: ["chromium", "chromium-browser", "google-chrome"],
    packages: ["chromium"],
    how: "install",
    probe: { args: ["--version"], prints: /Chrom/ },
    hint: "chromium from your system's packages",
  },
} as const satisfies Record<string, Tool>;

export type ToolName = keyof typeof TOOLS;

/** A tool is missing and cannot be fetched on this machine; the message is one sentence for the user. */
export class MissingToolError extends Error {
  override readonly name = "MissingToolError";
}

/** Absolute paths of the named tools, fetching those that are missing. */
export async function ensureTools<T extends ToolName>(names: readonly T[]): Promise<Record<T, string>> {
  const paths: Partial<Record<T, string>> = {};
  const hints = new Set<string>();
  const reasons = new Set<string>();
  for (const name of names) {
    try {
      paths[name] = find(TOOLS[name]) ?? (await fetchTool(name));
    } catch (error) {
      hints.add(TOOLS[name].hint);
      reasons.add(error instanceof Error ? error.message : String(error));
    }
  }
  if (hints.size > 0) {
    throw new MissingToolError(`Please install ${[...hints].join(", and ")} (${[...reasons].join("; ")}).`);
  }
  return paths as Record<T, string>;
}

async function fetchTool(name: ToolName): Promise<string> {
  const tool: Tool = TOOLS[name];
  if (!hasApt()) throw new Error(`${name} is missing and this machine has no apt-get`);
  mkdirSync(CACHE, { recursive: true });
  return await withLock(join(CACHE, "lock"), async () => {
    // Another process may have fetched it while this one waited.
    const done = find(tool);
    if (done !== undefined) return done;
    if (tool.how === "install") await installPackage(tool.packages);
    else await unpackNewest(tool.packages[0] ?? name, CACHE, (root) => findIn(tool, binFolders(root)));
    const path = find(tool);
    if (path === undefined) throw new Error(`${name} was fetched but does not run here`);
    process.stderr.write(`tools: ${name} is now at ${path}\n`);
    return path;
  });
}

function find(tool: Tool): string | undefined {
  // A plain user's PATH lacks the sbin folders, where Debian keeps daemons.
  const path = [...(process.env.PATH ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin"];
  return (
    findIn(tool, path) ??
    findIn(
      tool,
      tool.packages.flatMap((pkg) => binFolders(join(CACHE, pkg))),
    )
  );
}

function binFolders(root: string): string[] {
  return [join(root, "usr/bin"), join(root, "usr/sbin")];
}

function findIn(tool: Tool, folders: readonly string[]): string | undefined {
  for (const binary of tool.binaries) {
    for (const folder of folders) {
      const path = join(folder, binary);
      if (folder.startsWith("/") && isExecutable(path) && probe(tool, path)) return path;
    }
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The exit code says nothing: Go programs leave with 0 or 2 after -help, by their age. */
function probe(tool: Tool, path: string): boolean {
  const run = spawnSync(path, tool.probe.args, { encoding: "utf8", timeout: 10_000 });
  return run.error === undefined && tool.probe.prints.test(run.stdout + run.stderr);
}

async function main(args: readonly string[]): Promise<number> {
  const known = Object.keys(TOOLS) as ToolName[];
  const names = known.filter((name) => args.includes(name));
  if (names.length === 0 || names.length !== new Set(args).size) {
    process.stderr.write(`usage: tsx scripts/tools.ts NAME..., each one of: ${known.join(" ")}\n`);
    return 2;
  }
  try {
    const paths = await ensureTools(names);
    for (const name of names) process.stdout.write(`${name} ${paths[name]}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof MissingToolError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 3;
  }
}

const script = process.argv[1];
if (script !== undefined && realpathSync(script) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2));
}
