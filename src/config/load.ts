import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { parse as parseYaml } from "yaml";
import { usageError } from "../core/errors.ts";
import type { RelayRule } from "../core/relays.ts";
import { BREAKER, type BreakerPolicy } from "../limits/breaker.ts";
import { PATIENCE, type PatiencePolicy } from "../limits/patience.ts";
import { type CaConfig, type CaSource, caConfigs, caSource } from "./cas.ts";
import { type Dns01Config, dns01Config } from "./dns.ts";
import { choice, type Environment, processEnvironment, secret, variable } from "./environment.ts";
import { type HttpSettings, httpSettings } from "./http.ts";
import { type ConfigFile, configFile, defined, describeFaults } from "./schema.ts";
import { storeKey } from "./store-key.ts";
import { type Terminations, terminationsOf } from "./terminations.ts";
import { type Webhook, webhooksOf } from "./webhooks.ts";

export type { CaConfig } from "./cas.ts";

export interface ApiToken {
  name: string;
  /** Lower-case hex. The token itself is never kept. */
  sha256: string;
  scopes: readonly ("read" | "enqueue" | "admin")[];
}

export type Notify = "each" | "digest" | "off";

/** When certificates are renewed, and with what. Milliseconds. */
export interface RenewalSettings {
  /** Before the end of a certificate, whatever the CA suggests as a rule. */
  renewBefore?: number;
  /** The key of the certificate before is kept. */
  reuseKey: boolean;
  /** Whether the CAs are asked what they suggest (RFC 9773), and told what an order replaces. */
  ari: boolean;
  /** Before the end of one that nothing has renewed: a person is warned at each of them. */
  warn?: readonly number[];
  /** How often the CA is asked what it suggests. */
  poll: { least?: number; most?: number; every?: number };
  /** Between two looks at what is due. */
  look: number;
}

export interface Config {
  home: string;
  node: string;
  /** Whether CERTHERD_NODE says so; else it is the host's name, and there is no other host. */
  nodeGiven: boolean;
  redisUrl?: string;
  /** 32 bytes: what is secret is kept in Redis too, encrypted with them, for the other hosts. */
  storeKey?: Buffer;
  /** In order of preference; the first is the default. */
  cas: readonly [CaConfig, ...CaConfig[]];
  /** What says so. */
  caFrom: CaSource;
  listen: { host: string; port: number };
  apiToken?: string;
  tokens: readonly ApiToken[];
  /** Sessions, rates and proxies of the HTTP API. */
  http: HttpSettings;
  acmeListen: string;
  /** Delays between failed attempts, milliseconds; the last one repeats. */
  retry: readonly number[];
  /** `operator`: whom to tell what is not about one certificate; else whoever is told of the certificate in hand. */
  mail: {
    from?: string;
    notify: Notify;
    operator?: { to: string; relay: string; port: number };
    /** Relays that whoever asks over HTTP may name beside public addresses. */
    relays?: readonly RelayRule[];
  };
  preflight: "require" | "warn" | "off";
  /** When a name that does not lead here is looked at again. Milliseconds; as built in when left out. */
  recheck: { every?: readonly number[]; giveUpAfter?: number };
  httpPort: number;
  /** Resolvers for preflight, as `host:port`; the system's when empty. */
  dns: readonly string[];
  /** Who sets the TXT records of dns-01. */
  dns01: Dns01Config;
  /** Addresses that names may point to, private ones too. */
  vips: readonly string[];
  /** Milliseconds; a name that would wait longer at a CA goes to the next one. Never when left out. */
  spillAfter?: number;
  breaker: BreakerPolicy;
  patience: PatiencePolicy;
  /** VIP ports that have a termination; undefined when none is configured and any is accepted. */
  vipPorts?: ReadonlySet<number>;
  renewal: RenewalSettings;
  /** Where certificates are deployed to. */
  terminations: Terminations;
  /** Milliseconds in which every certificate is looked at on each of its nodes. */
  watchEvery: number;
  /** Orders are made only where this address is local. */
  activeAddress?: string;
  maxImportBytes: number;
  /** Who is told what happens, over HTTP. */
  webhooks: readonly Webhook[];
}

/**
 * Let's Encrypt's advice for a certificate that fails: after 1, 10 and 100 minutes, then daily
 * (https://letsencrypt.org/docs/integration-guide/#retrying-failures).
 */
const RETRY = [60_000, 600_000, 6_000_000, 86_400_000] as const;

const RENEWAL_LOOK = 10_000;
const WATCH_EVERY = 6 * 3_600_000;

/** Loads and checks the whole configuration, or throws one usage error that says what is wrong and where. */
export function loadConfig(env: Environment = processEnvironment()): Config {
  const file = readConfigFile(variable(env, "CERTHERD_CONFIG"));
  const redisUrl = secret(env, "REDIS_URL");
  const apiToken = secret(env, "CERTHERD_API_TOKEN");
  const terminations = terminationsOf(file.terminations ?? {});
  const dns = resolvers(variable(env, "CERTHERD_DNS"));
  return {
    home: resolve(variable(env, "CERTHERD_HOME") ?? "/var/lib/certherd"),
    node: nodeName(env),
    nodeGiven: variable(env, "CERTHERD_NODE") !== undefined,
    ...(redisUrl === undefined ? {} : { redisUrl: checkedRedisUrl(redisUrl) }),
    ...defined({ storeKey: storeKey(env) }),
    cas: caConfigs(env, file),
    caFrom: caSource(env, file),
    listen: listenAddress(variable(env, "CERTHERD_LISTEN") ?? "127.0.0.1:8080"),
    ...(apiToken === undefined ? {} : { apiToken }),
    tokens: (file.tokens ?? []).map((token) => ({ ...token, sha256: token.sha256.toLowerCase() })),
    http: httpSettings(file.http),
    acmeListen: acmeListen(variable(env, "CERTHERD_ACME_LISTEN")) ?? file.acmeListen ?? "127.0.0.1",
    retry: file.retry ?? RETRY,
    mail: mailConfig(file),
    preflight: choice(env, "CERTHERD_PREFLIGHT", ["require", "warn", "off"], "require"),
    recheck: defined({ every: file.preflight?.recheck, giveUpAfter: file.preflight?.giveUpAfter }),
    httpPort: portNumber("CERTHERD_HTTP_PORT", variable(env, "CERTHERD_HTTP_PORT") ?? "80"),
    dns,
    dns01: dns01Config(file.dns, dns),
    vips: file.vips ?? [],
    ...(file.spillAfter === undefined ? {} : { spillAfter: file.spillAfter }),
    breaker: { ...BREAKER, ...defined(file.breaker ?? {}) },
    patience: { ...PATIENCE, ...defined(file.patience ?? {}) },
    ...(file.terminations === undefined ? {} : { vipPorts: new Set(terminations.keys()) }),
    terminations,
    renewal: renewalSettings(file),
    watchEvery: file.watch?.every ?? WATCH_EVERY,
    ...(file.activeWhen === undefined ? {} : { activeAddress: file.activeWhen.address }),
    webhooks: webhooksOf(file.webhooks),
    maxImportBytes: file.maxImportBytes ?? 100 * 1024 * 1024,
  };
}

function renewalSettings({ renewal = {} }: ConfigFile): RenewalSettings {
  const { renewBefore, reuseKey = false, ari = true, warn, poll = {}, look = RENEWAL_LOOK } = renewal;
  return { ...defined({ renewBefore, warn }), reuseKey, ari, poll: defined(poll), look };
}

function mailConfig({ mail }: ConfigFile): Config["mail"] {
  const { from, operator, notify = "digest", relays } = mail ?? {};
  return {
    ...(from === undefined ? {} : { from }),
    notify,
    ...defined({ relays }),
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

function acmeListen(host: string | undefined): string | undefined {
  if (host === undefined || isIP(host) !== 0 || host === "localhost") return host;
  throw usageError(
    "config_invalid",
    `CERTHERD_ACME_LISTEN is "${host}"; give an IP address of this host, such as 127.0.0.1 or 0.0.0.0.`,
  );
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
