/** What is packaged or documented, and names something that lies elsewhere: whether that is there. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

interface Service {
  image: string;
  build?: { context: string; target: string };
  profiles?: string[];
  command?: string[];
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  secrets?: string[];
  healthcheck?: { test: string[] };
}

interface Compose {
  services: Record<string, Service>;
  secrets: Record<string, unknown>;
  volumes: Record<string, unknown>;
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** All TypeScript below a folder, in one text. */
function sources(folder: string): string {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => read(join(folder, path)))
    .join("\n");
}

const { services, secrets, volumes } = parse(read("docker-compose.yml"), { merge: true }) as Compose;
const { scripts, bin } = JSON.parse(read("package.json")) as Record<
  "scripts" | "bin",
  Record<string, string>
>;
const dockerfile = read("Dockerfile");
const config = sources("src/config");

/** Whether the configuration reads a variable, by itself or from the file that `…_FILE` names. */
function isKnown(name: string): boolean {
  const secret = name.replace(/_FILE$/, "");
  return secret === name ? config.includes(`env, "${name}"`) : config.includes(`secret(env, "${secret}"`);
}

/** The lines of a document's code blocks: what somebody copies. */
function commandLines(path: string): string[] {
  const blocks = [...read(path).matchAll(/^( *)```sh\n(.*?)^\1```$/gms)].map(([, , body = ""]) => body);
  return blocks.flatMap((block) => block.split("\n").map((line) => line.replace(/#.*$/, "").trim()));
}

describe("docker-compose.yml", () => {
  it("keeps what Redis is given", () => {
    const command = (services.redis?.command ?? []).join(" ");
    expect(command).toContain("--appendonly yes");
    expect(command).toContain("--maxmemory-policy noeviction");
    expect(services.redis?.volumes).toContain("redis:/data");
  });

  it("starts Redis and one process for everything, unless more is asked for", () => {
    const always = Object.keys(services).filter((name) => services[name]?.profiles === undefined);
    expect(always).toEqual(["redis", "certherd"]);
  });

  it("has the test CA under the demo profile alone", () => {
    const demo = Object.keys(services).filter((name) => services[name]?.profiles?.includes("demo"));
    expect(demo).toEqual(["demo", "pebble", "challtestsrv"]);
    for (const name of demo) expect(services[name]?.profiles).toEqual(["demo"]);
  });

  it.each(Object.entries(services))(
    "%s: its image is pinned, and built from a stage that is there",
    (_, service) => {
      expect(service.image).toMatch(/:\d+\.\d+\.\d+(-[a-z0-9.]+)?$/);
      if (service.build)
        expect(dockerfile).toMatch(new RegExp(`^FROM \\S+ AS ${service.build.target}$`, "m"));
    },
  );

  it.each(Object.entries(services))("%s: its ports are open on loopback only", (_, { ports = [] }) => {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  it.each(Object.entries(services))("%s: each variable is one that the configuration reads", (_, service) => {
    const names = Object.keys(service.environment ?? {}).filter((name) => !name.startsWith("PEBBLE_"));
    expect(names.filter((name) => !isKnown(name))).toEqual([]);
  });

  it.each(Object.entries(services))(
    "%s: a secret comes as a file",
    (_, { environment = {}, secrets: used = [] }) => {
      for (const [name, value] of Object.entries(environment)) {
        expect(name).not.toMatch(/(TOKEN|HMAC|PASSWORD)$/);
        if (name.endsWith("_FILE")) expect(used.map((secret) => `/run/secrets/${secret}`)).toContain(value);
      }
      for (const secret of used) expect(secrets).toHaveProperty(secret);
    },
  );

  it.each(Object.entries(services))(
    "%s: its volumes are named ones that are there",
    (_, { volumes: used = [] }) => {
      for (const volume of used) expect(volumes).toHaveProperty(volume.split(":")[0] ?? "");
    },
  );

  it("reaches what listens inside of a container", () => {
    for (const { environment, ports = [] } of Object.values(services)) {
      if (ports.includes("127.0.0.1:8080:8080")) expect(environment?.CERTHERD_LISTEN).toBe("0.0.0.0:8080");
      if (ports.includes("127.0.0.1:8888:8888")) expect(environment?.CERTHERD_ACME_LISTEN).toBe("0.0.0.0");
    }
  });

  it("runs workers that are there", () => {
    const workers = Object.values(services).flatMap(({ command = [] }) =>
      command.filter((part) => part.startsWith("dist/")),
    );
    expect(workers).toHaveLength(readdirSync(join(ROOT, "workers")).length);
    for (const worker of workers)
      expect(existsSync(join(ROOT, worker.replace("dist/", "").replace(/js$/, "ts")))).toBe(true);
  });

  it.each(["redis", "certherd", "api", "pebble"])("%s tells whether it is well", (name) => {
    expect(services[name]?.healthcheck?.test.length).toBeGreaterThan(1);
  });
});

describe("the image", () => {
  it("is built without scripts, and runs as nobody in particular", () => {
    expect(dockerfile).toContain("npm ci --ignore-scripts");
    expect(dockerfile).toMatch(/npm run build && npm prune --omit=dev --ignore-scripts/);
    expect(dockerfile.split(/^FROM /m).at(-1)).toMatch(/^USER certherd$/m);
  });

  it("is made of files that .dockerignore lets through", () => {
    const through = read(".dockerignore")
      .split("\n")
      .filter((line) => line.startsWith("!"));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(?:--\S+ )*(.+) \S+$/gm)].flatMap(
      ([, paths = ""]) => paths.split(" "),
    );
    expect(copied.length).toBeGreaterThan(5);
    for (const path of copied) {
      expect(existsSync(join(ROOT, path))).toBe(true);
      expect(through.some((line) => path === line.slice(1) || path.startsWith(`${line.slice(1)}/`))).toBe(
        true,
      );
    }
  });
});

describe("the systemd unit", () => {
  const unit = read("packaging/certherd.service");

  it("starts a program of package.json, with a command that is there", () => {
    const [, program = "", command = ""] = /^ExecStart=\S+ \/opt\/certherd\/(\S+) (\S+)$/m.exec(unit) ?? [];
    expect(Object.values(bin)).toContain(program);
    expect(existsSync(join(ROOT, `src/cli/commands/${command}.ts`))).toBe(true);
  });

  it("stops Certherd before the private Redis, and gives both the time", () => {
    const [, within = "0"] = /STOP_WITHIN = ([\d_]+)/.exec(read("src/runtime/process.ts")) ?? [];
    const [, timeout = "0"] = /^TimeoutStopSec=(\d+)$/m.exec(unit) ?? [];
    expect(unit).toMatch(/^KillMode=mixed$/m);
    expect(Number(timeout) * 1_000).toBeGreaterThan(Number(within.replaceAll("_", "")) + 5_000);
  });

  it("has an example of settings that the configuration reads", () => {
    const names = [...read("packaging/certherd.env.example").matchAll(/^#?([A-Z_]+)=/gm)].map(
      ([, name = ""]) => name,
    );
    expect(names.length).toBeGreaterThan(5);
    expect(names.filter((name) => !isKnown(name))).toEqual([]);
  });
});

describe("the documents", () => {
  it.each(["README.md", "CONTRIBUTING.md", "docs/operations.md", "docs/http-api.md", "docs/adopt.md"])(
    "%s: its commands are there",
    (path) => {
      const lines = commandLines(path).join("\n");
      for (const [, script = ""] of lines.matchAll(/npm run ([\w:]+)/g))
        expect(scripts).toHaveProperty([script]);
      if (/npm test\b/.test(lines)) expect(scripts).toHaveProperty("test");
      for (const [, file = ""] of lines.matchAll(/\b(bin\/[\w-]+\.js)/g))
        expect(Object.values(bin)).toContain(file);
      for (const [, command = ""] of lines.matchAll(/^certherd ([a-z]+)/gm))
        expect(existsSync(join(ROOT, `src/cli/commands/${command}.ts`))).toBe(true);
    },
  );

  it("README.md has each setting, and no other", () => {
    const readme = read("README.md");
    const table = readme.slice(readme.indexOf("## Settings"), readme.indexOf("The YAML file"));
    const told = new Set([...table.matchAll(/`((?:CERTHERD|REDIS)_[A-Z_]+)`/g)].map(([, name = ""]) => name));
    const readByConfig = [...config.matchAll(/env, "([A-Z_]+)"/g)].map(([, name = ""]) => name);
    expect(readByConfig.filter((name) => !told.has(name))).toEqual([]);
    expect([...told].filter((name) => !isKnown(name))).toEqual([]);
  });

  it("docs/errors.md has each code", () => {
    const code = sources("src");
    const found = [
      ...code.matchAll(/\bcode: "([a-z_]+)"/g),
      ...code.matchAll(/\bcode: [^"\n]+ \? "([a-z_]+)"/g),
      ...code.matchAll(/\b(?:usageError|RequestError|refuse)\(\s*(?:\d+,\s*)?"([a-z_]+)"/g),
    ].map(([, name = ""]) => name);
    const documented = read("docs/errors.md");
    expect(new Set(found).size).toBeGreaterThan(30);
    expect([...new Set(found)].filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
  });

  it.each(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"])(
    "%s: its links lead somewhere",
    (path) => {
      for (const [, target = ""] of read(path).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g))
        expect(existsSync(join(ROOT, target))).toBe(true);
    },
  );
});
