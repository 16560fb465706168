import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { hostname } from "node:os";
import { isAbsolute, resolve } from "node:path";
import { parse as parseYaml } from "yaml";
import { caNameOf, KNOWN_CAS, knownCaOf } from "../acme/cas.ts";
import { usageError } from "../core/errors.ts";
import { BREAKER, type BreakerPolicy } from "../limits/breaker.ts";
import { PATIENCE, type PatiencePolicy } from "../limits/patience.ts";
import { type CaLimits, limitsOf } from "../limits/table.ts";
import { choice, type Environment, processEnvironment, secret, variable } from "./environment.ts";
import { type ConfigFile, configFile, describeFaults } from "./schema.ts";

export interface CaConfig {
  /** Also the account's id: one account per CA; names its queues, its folder and its keys in Redis. */
  name: string;
  directory: string;
  /** PEM trusted for the directory's own TLS, beside the system's roots. */
  root?: string;
  email?: string;
  eab?: { kid: string; hmacKey: string };
  profile?: string;
  limits: CaLimits;
  /** The names by which CAA records allow it; what its directory says is added. */
  caaIdentities: readonly string[];
}

export interface ApiToken {
  name: string;
  /** Lower-case hex. The token itself is never kept. */
  sha256: string;
  scopes: readonly ("read" | "enqueue" | "admin")[];
}

export type Notify = "each" | "digest" | "off";

export interface Config {
  home: string;
  node: string;
  redisUrl?: string;
  /** In order of preference; the first is the default. */
  cas: readonly [CaConfig, ...CaConfig[]];
  listen: { host: string; port: number };
  apiToken?: string;
  tokens: readonly ApiToken[];
  acmeListen: string;
  /** Delays between failed attempts, milliseconds; the last one repeats. */
  retry: readonly number[];
  /** `operator`: whom to tell what is not about one certificate; else whoever is told of the certificate in hand. */
  mail: { from?: string; notify: Notify; operator?: { to: string; relay: string; port: number } };
  preflight: "require" | "warn" | "off";
  /** When a name that does not lead here is looked at again. Milliseconds; as built in when left out. */
  recheck: { every?: readonly number[]; giveUpAfter?: number };
  httpPort: number;
  /** Resolvers for preflight, as `host:port`; the system's when empty. */
  dns: readonly string[];
  /** Addresses that names may point to, private ones too. */
  vips: readonly string[];
  /** Milliseconds; a name that would wait longer at a CA goes to the next one. Never when left out. */
  spillAfter?: number;
  breaker: BreakerPolicy;
  patience: PatiencePolicy;
  /** VIP ports that have a termination; undefined when none is configured and any is accepted. */
  vipPorts?: ReadonlySet<number>;
  maxImportBytes: number;
}

/**
 * Let's Encrypt's advice for a certificate that fails: after 1, 10 and 100 minutes, then daily
 * (https://letsencrypt.org/docs/integration-guide/#retrying-failures).
 */
const RETRY = [60_000, 600_000, 6_000_000, 86_400_000] as const;

/** Loads and checks the whole configuration, or throws one usage error that says what is wrong and where. */
export function loadConfig(env: Environment = processEnvironment()): Config {
  const file = readConfigFile(variable(env, "CERTHERD_CONFIG"));
  const redisUrl = secret(env, "REDIS_URL");
  const apiToken = secret(env, "CERTHERD_API_TOKEN");
  const ports = file.terminations && Object.keys(file.terminations).map(Number);
  return {
    home: resolve(variable(env, "CERTHERD_HOME") ?? "/var/lib/certherd"),
    node: nodeName(env),
    ...(redisUrl === undefined ? {} : { redisUrl: checkedRedisUrl(redisUrl) }),
    cas: caConfigs(env, file),
    listen: listenAddress(variable(env, "CERTHERD_LISTEN") ?? "127.0.0.1:8080"),
    ...(apiToken === undefined ? {} : { apiToken }),
    tokens: (file.tokens ?? []).map((token) => ({ ...token, sha256: token.sha256.toLowerCase() })),
    acmeListen: variable(env, "CERTHERD_ACME_LISTEN") ?? file.acmeListen ?? "127.0.0.1",
    retry: file.retry ?? RETRY,
    mail: mailConfig(file),
    preflight: choice(env, "CERTHERD_PREFLIGHT", ["require", "warn", "off"], "require"),
    recheck: defined({ every: file.preflight?.recheck, giveUpAfter: file.preflight?.giveUpAfter }),
    httpPort: portNumber("CERTHERD_HTTP_PORT", variable(env, "CERTHERD_HTTP_PORT") ?? "80"),
    dns: resolvers(variable(env, "CERTHERD_DNS")),
    vips: file.vips ?? [],
    ...(file.spillAfter === undefined ? {} : { spillAfter: file.spillAfter }),
    breaker: { ...BREAKER, ...defined(file.breaker ?? {}) },
    patience: { ...PATIENCE, ...defined(file.patience ?? {}) },
    ...(ports === undefined ? {} : { vipPorts: new Set(ports) }),
    maxImportBytes: file.maxImportBytes ?? 100 * 1024 * 1024,
  };
}

/** Without the keys whose value is undefined, so that they do not stand over a default. */
function defined<T extends object>(settings: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function mailConfig({ mail }: ConfigFile): Config["mail"] {
  const { from, operator, notify = "digest" } = mail ?? {};
  return {
    ...(from === undefined ? {} : { from }),
    notify,
    ...(operator === undefined
      ? {}
      : { operator: { to: operator.to, relay: operator.relay, port: operator.port ?? 25 } }),
  };
}

/** "192.0.2.53, 192.0.2.54:5353, [2001:db8::53]:53" → one entry each, with its port. */
function resolvers(text: string | undefined): string[] {
  const parts = (text ?? "").split(",").map((part) => part.trim());
  return parts
    .filter((part) => part !== "")
    .map((part) => {
      const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(part);
      const host = match?.[1] ?? match?.[2] ?? (isIP(part) === 6 ? part : "");
      const port = Number(match?.[3] ?? 53);
      if (isIP(host) === 0 || port < 1 || port > 65_535)
        throw usageError(
          "config_invalid",
          `CERTHERD_DNS holds "${part}"; give addresses of resolvers, as 192.0.2.53:53, with commas between them.`,
        );
      return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
    });
}

function readConfigFile(path: string | undefined): ConfigFile {
  if (path === undefined) return {};
  let document: unknown;
  try {
    document = parseYaml(readFileSync(path, "utf8")) ?? {};
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0]?.replace(/:$/, "");
    throw usageError("config_unreadable", `The configuration file ${path} cannot be read: ${reason}.`);
  }
  const result = configFile.safeParse(document);
  if (result.success) return result.data;
  throw usageError(
    "config_invalid",
    `The configuration file ${path} is wrong: ${describeFaults(result.error)}.`,
  );
}

function caConfigs(env: Environment, file: ConfigFile): [CaConfig, ...CaConfig[]] {
  const preferred = variable(env, "CERTHERD_CA");
  const listed = file.cas?.map((entry) => caFromFile(env, entry)) ?? [];
  const names = listed.map((entry) => entry.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice)
    throw usageError("config_invalid", `The CA "${twice}" stands twice in cas; give each a name of its own.`);
  if (preferred === undefined && listed[0]) return [listed[0], ...listed.slice(1)];
  // CERTHERD_CA beside a file names the one to prefer; alone, it is a list of one.
  const chosen = listed.find((entry) => entry.name === preferred || entry.directory === preferred);
  const first = chosen ?? caFromEnvironment(env, preferred ?? "letsencrypt");
  return [first, ...listed.filter((entry) => entry !== chosen)];
}

function caFromEnvironment(env: Environment, nameOrUrl: string): CaConfig {
  const directory = KNOWN_CAS[nameOrUrl]?.directory ?? nameOrUrl;
  if (!/^https?:\/\//.test(directory) || !URL.canParse(directory)) {
    const known = Object.keys(KNOWN_CAS).join(", ");
    throw usageError(
      "config_invalid",
      `CERTHERD_CA is "${nameOrUrl}"; it must be one of ${known}, or the URL of an ACME directory.`,
    );
  }
  const name = caNameOf(directory);
  const caaIdentities = KNOWN_CAS[name]?.caaIdentities ?? [];
  return completeCa(env, { name, directory, limits: limitsOf(name), caaIdentities });
}

function caFromFile(env: Environment, entry: NonNullable<ConfigFile["cas"]>[number]): CaConfig {
  const directory = entry.directory ?? KNOWN_CAS[entry.name]?.directory;
  if (!directory)
    throw usageError(
      "config_invalid",
      `The CA "${entry.name}" is not known by name; give its "directory" URL in cas.`,
    );
  const known = knownCaOf(directory);
  const domains = Object.entries(entry.domains ?? {}).flatMap(([domain, { certificatesPerDomain }]) =>
    certificatesPerDomain ? [[domain.toLowerCase(), certificatesPerDomain] as const] : [],
  );
  return completeCa(env, {
    name: entry.name,
    directory,
    limits: limitsOf(known ?? entry.name, {
      certificates: defined(entry.limits ?? {}),
      domains: Object.fromEntries(domains),
      ...(entry.renewalsExempt === undefined ? {} : { renewalsExempt: entry.renewalsExempt }),
    }),
    caaIdentities: entry.caaIdentities ?? KNOWN_CAS[known ?? entry.name]?.caaIdentities ?? [],
    ...(entry.root === undefined ? {} : { root: readPem(`root of the CA "${entry.name}"`, entry.root) }),
    ...(entry.email === undefined ? {} : { email: entry.email }),
    ...(entry.profile === undefined ? {} : { profile: entry.profile }),
    ...(entry.eab === undefined
      ? {}
      : {
          eab: {
            kid: entry.eab.kid,
            hmacKey: readText(`hmacFile of the CA "${entry.name}"`, entry.eab.hmacFile),
          },
        }),
  });
}

/** What the file leaves open comes from the environment, and counts for every CA. */
function completeCa(env: Environment, ca: CaConfig): CaConfig {
  const email = ca.email ?? variable(env, "CERTHERD_ACCOUNT_EMAIL");
  const rootPath = variable(env, "CERTHERD_CA_ROOT");
  const root = ca.root ?? (rootPath === undefined ? undefined : readPem("CERTHERD_CA_ROOT", rootPath));
  const kid = variable(env, "CERTHERD_EAB_KID");
  const hmacKey = secret(env, "CERTHERD_EAB_HMAC");
  const eab = ca.eab ?? (kid !== undefined && hmacKey !== undefined ? { kid, hmacKey } : undefined);
  if ((kid === undefined) !== (hmacKey === undefined))
    throw usageError(
      "config_invalid",
      "CERTHERD_EAB_KID and CERTHERD_EAB_HMAC go together; only one of them is set.",
    );
  return {
    ...ca,
    ...(email === undefined ? {} : { email }),
    ...(root === undefined ? {} : { root }),
    ...(eab === undefined ? {} : { eab }),
  };
}

function readText(what: string, path: string): string {
  try {
    return readFileSync(isAbsolute(path) ? path : resolve(path), "utf8").trim();
  } catch (error) {
    throw usageError(
      "config_unreadable",
      `The ${what} cannot be read: ${error instanceof Error ? error.message : error}.`,
    );
  }
}

function readPem(what: string, path: string): string {
  const pem = readText(what, path);
  if (!pem.includes("-----BEGIN CERTIFICATE-----"))
    throw usageError("config_invalid", `The ${what}, ${path}, holds no PEM certificate.`);
  return pem;
}

function listenAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(text);
  if (!match)
    throw usageError(
      "config_invalid",
      `CERTHERD_LISTEN is "${text}"; write it as host:port, [::1]:8080 for IPv6.`,
    );
  const port = Number(match[3]);
  if (port > 65_535)
    throw usageError("config_invalid", `CERTHERD_LISTEN is "${text}"; a port is at most 65535.`);
  return { host: match[1] ?? (match[2] || "0.0.0.0"), port };
}

function portNumber(name: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw usageError("config_invalid", `${name} is "${text}"; it must be a port from 1 to 65535.`);
}

function nodeName(env: Environment): string {
  const name = variable(env, "CERTHERD_NODE") ?? (hostname().split(".")[0] || "node");
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(name)) return name;
  throw usageError("config_invalid", `CERTHERD_NODE is "${name}"; use letters, digits, -, _ and . only.`);
}

function checkedRedisUrl(url: string): string {
  if (URL.canParse(url) && /^(rediss?|unix):$/.test(new URL(url).protocol)) return url;
  throw usageError(
    "config_invalid",
    "REDIS_URL must be a URL such as redis://host:6379/0 or rediss://user:password@host:6380.",
  );
}
