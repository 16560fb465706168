/**
 * What scripts/tools.ts does with apt-get: install a package of the system, or unpack a newer one beside it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  accessSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

interface Ran {
  code: number;
  stdout: string;
  /** The last line it printed: with apt-get the one that names the error. */
  lastLine: string;
}

export function hasApt(): boolean {
  return existsSync("/usr/bin/apt-get");
}

/**
 * Runs `work` while holding a lock file that no other process holds. The lock belongs to a child that lives as
 * long as our end of its pipe: a crash of this process cannot leave it locked.
 */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const keeper = spawn("flock", [path, "sh", "-c", "echo locked; cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(keeper, "close");
  await Promise.race([once(keeper.stdout, "data"), ended.then(() => Promise.reject(new Error("no lock")))]);
  try {
    return await work();
  } finally {
    keeper.stdin.end();
    await ended;
  }
}

/** Installs the first of `packages` that the machine's sources offer, without starting any service. */
export async function installPackage(packages: readonly string[]): Promise<void> {
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  if (asRoot.length > 0 && (await run(["sudo", "-n", "true"])).code !== 0) {
    throw new Error(`${packages.join(" or ")} is missing, and installing it needs root or passwordless sudo`);
  }
  const update = [...asRoot, "apt-get", "-qq", "update"];
  let name = await firstOffered(packages);
  const fresh = name === undefined;
  if (fresh) {
    await run(update);
    name = await firstOffered(packages);
  }
  if (name === undefined) throw new Error(`no apt source of this machine offers ${packages.join(" or ")}`);
  const install = [...asRoot, "env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1"];
  install.push("sh", "-c", INSTALL_QUIETLY, "install", name);
  let ran = await run(install);
  if (ran.code !== 0 && !fresh) {
    // Old lists name versions that the mirror has dropped since.
    await run(update);
    ran = await run(install);
  }
  if (ran.code !== 0) throw new Error(`apt-get could not install ${name}: ${ran.lastLine}`);
}

/** policy-rc.d is Debian's way to forbid that a fresh package starts its service; an existing one stays. */
const INSTALL_QUIETLY = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\nexit 101\\n' >"$policy" && chmod 755 "$policy"
fi
apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$1"
`;

async function firstOffered(packages: readonly string[]): Promise<string | undefined> {
  for (const name of packages) {
    const { stdout } = await run(["apt-cache", "policy", name]);
    if (/^ {2}Candidate: (?!\(none\))/m.test(stdout)) return name;
  }
  return undefined;
}

/**
 * Unpacks the newest `name` that the distribution holds and that runs here into `cache`/`name`. The system's
 * apt state stays untouched, and no root is needed: apt-get gets lists and sources of its own.
 */
export async function unpackNewest(
  name: string,
  cache: string,
  runs: (root: string) => string | undefined,
): Promise<void> {
  // Under the lock nobody else works here: what stands is left over from a crash.
  for (const old of readdirSync(cache)) {
    if (old.startsWith("work-")) rmSync(join(cache, old), { recursive: true, force: true });
  }
  let reason = "";
  for (const suite of [...newerSuites(), undefined]) {
    const work = mkdtempSync(join(cache, "work-"));
    try {
      reason = await download(name, work, suite);
      const root = join(work, "root");
      if (reason !== "" || runs(root) === undefined) continue;
      // The rename is atomic: the cache holds the whole package or none of it.
      rmSync(join(cache, name), { recursive: true, force: true });
      renameSync(root, join(cache, name));
      return;
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  throw new Error(`apt-get found no ${name} that runs here${reason === "" ? "" : `: ${reason}`}`);
}

/** Suites worth a look before the release's own. Only Debian's are known by fixed names. */
function newerSuites(): string[] {
  return osRelease("ID") === "debian" ? ["sid", "trixie"] : [];
}

/** Downloads and unpacks into `work`/root; answers why not, or "". */
async function download(name: string, work: string, suite: string | undefined): Promise<string> {
  for (const folder of ["lists/partial", "cache/archives/partial", "sources"]) {
    mkdirSync(join(work, folder), { recursive: true });
  }
  if (suite !== undefined && writeSources(join(work, "sources"), suite) === 0)
    return `no source for ${suite}`;
  const config = join(work, "apt.conf");
  writeFileSync(config, aptConfig(work, suite !== undefined));
  // The code of update is of no use: one foreign source that lacks the suite spoils it.
  const updated = await run(["apt-get", "-c", config, "-qq", "update"]);
  const loaded = await run(["apt-get", "-c", config, "-qq", "download", name], work);
  const deb = readdirSync(work).find((file) => file.endsWith(".deb"));
  if (loaded.code !== 0 || deb === undefined) return loaded.lastLine || updated.lastLine;
  const unpacked = await run(["dpkg", "-x", join(work, deb), join(work, "root")]);
  return unpacked.code === 0 ? "" : unpacked.lastLine;
}

/** As a file given by -c it comes after the system's own settings, and can clear hooks and pins. */
function aptConfig(work: string, ownSources: boolean): string {
  const lines = [
    `Dir::State::Lists "${work}/lists";`,
    `Dir::Cache "${work}/cache";`,
    'Dir::Etc::Preferences "/dev/null";',
    'Dir::Etc::PreferencesParts "/dev/null";',
    'Acquire::Languages "none";',
    "#clear APT::Default-Release;",
    "#clear APT::Update::Pre-Invoke;",
    "#clear APT::Update::Post-Invoke;",
    "#clear APT::Update::Post-Invoke-Success;",
    "#clear DPkg::Post-Invoke;",
    // Root's apt-get would hand the download to a user who cannot write here.
    'APT::Sandbox::User "root";',
  ];
  if (ownSources) {
    lines.push('Dir::Etc::SourceList "/dev/null";', `Dir::Etc::SourceParts "${work}/sources";`);
  }
  return `${lines.join("\n")}\n`;
}

/** Copies the machine's own sources of its release into `folder`, with the suite swapped; answers how many. */
function writeSources(folder: string, suite: string): number {
  const stanzas: string[] = [];
  const lines: string[] = [];
  for (const file of sourceFiles()) {
    const text = readFileSync(file, "utf8").replace(/^#.*\n?/gm, "");
    if (file.endsWith(".sources")) stanzas.push(...swapStanzas(text, suite));
    else lines.push(...swapLines(text, suite));
  }
  if (stanzas.length > 0) writeFileSync(join(folder, "own.sources"), `${stanzas.join("\n\n")}\n`);
  if (lines.length > 0) writeFileSync(join(folder, "own.list"), `${lines.join("\n")}\n`);
  return stanzas.length + lines.length;
}

function sourceFiles(): string[] {
  const parts = "/etc/apt/sources.list.d";
  const names = existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [];
  return ["/etc/apt/sources.list", ...names].filter(
    (name) => /\.(list|sources)$/.test(name) && readable(name),
  );
}

function readable(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The deb822 form: stanzas of "Field: value", continued by lines that begin with a blank. */
export function swapStanzas(text: string, suite: string): string[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string) =>
      new RegExp(`^${name}:\\s*([^\\n]*(?:\\n[ \\t][^\\n]*)*)`, "im").exec(stanza);
    const words = (name: string) => (field(name)?.[1] ?? "").split(/\s+/);
    if (/^(no|false)$/i.test(field("Enabled")?.[1] ?? "") || !words("Types").includes("deb")) return [];
    if (!words("Suites").some(isOwnSuite) || !words("Components").includes("main")) return [];
    return [
      Object.entries({ Types: "deb", Suites: suite, Components: "main" }).reduce(
        (kept, [name, value]) => kept.replace(field(name)?.[0] ?? "", `${name}: ${value}`),
        stanza.trim(),
      ),
    ];
  });
}

/** The one-line form: deb [options] address suite component... */
export function swapLines(text: string, suite: string): string[] {
  return text.split("\n").flatMap((line) => {
    const parts = /^\s*deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line);
    const [, options = "", address = "", own = "", components = ""] = parts ?? [];
    if (!isOwnSuite(own) || !components.split(/\s+/).includes("main")) return [];
    return [`deb ${options}${address} ${suite} main`];
  });
}

/** The release proper, not its -updates or -security, which hold no later suites. */
function isOwnSuite(suite: string): boolean {
  const aliases = ["stable", "oldstable", "testing", "unstable", "sid"];
  return suite !== "" && (suite === osRelease("VERSION_CODENAME") || aliases.includes(suite));
}

function osRelease(field: string): string {
  const text = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  return new RegExp(`^${field}="?([^"\\n]*)`, "m").exec(text)?.[1] ?? "";
}

async function run(command: readonly string[], cwd?: string): Promise<Ran> {
  const [program = "", ...args] = command;
  const env = { ...process.env, LC_ALL: "C" };
  const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let all = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk;
    all += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    all += chunk;
  });
  return await new Promise<Ran>((resolve) => {
    const end = (code: number) => resolve({ code, stdout, lastLine: all.trim().split("\n").at(-1) ?? "" });
    child.on("error", (error) => {
      all += `\n${error.message}`;
      end(127);
    });
    child.on("close", (code) => end(code ?? 1));
  });
}
