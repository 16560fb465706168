/** Let's Encrypt's Pebble, a real ACME server, with a name server of its own. Runs with 2.4 to 2.10. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureTools } from "../../scripts/tools.ts";
import { acmeKind, countRequest, type RequestCounts } from "./acme-kinds.ts";
import { makeServerCert, type ServerCert } from "./certs.ts";
import { type FakeDns, startFakeDns } from "./challtestsrv.ts";
import { httpText } from "./http.ts";
import { startProcess } from "./process.ts";
import { freePort, removeDir, tempDir } from "./temp.ts";

export interface PebbleOptions {
  /** Where Pebble sends http-01 validations, on the address its name server gives. */
  httpPort: number;
  /** The same for tls-alpn-01. */
  tlsPort?: number;
  /** PEBBLE_* settings over the defaults below. */
  env?: Readonly<Record<string, string>>;
  /** Names, with all below them, for which newOrder answers rejectedIdentifier. */
  blocklist?: readonly string[];
  /** Key ids and their base64url MAC keys: given, an account needs an external binding. */
  eab?: Readonly<Record<string, string>>;
  /** Seconds. Pebble sends each as a number or as a date, at random. */
  retryAfter?: { authz: number; order: number };
  /** Seconds a certificate is valid; 90 days unless given. */
  validityPeriod?: number;
  /** host:port of the name server that it asks, in place of its own one. */
  dnsServer?: string;
  /** What is offered (2.10), by name; one profile "default" unless given. */
  profiles?: Readonly<Record<string, { description: string; validityPeriod: number }>>;
  /** Further arguments, such as -strict. */
  args?: readonly string[];
}

export interface Pebble {
  readonly directoryUrl: string;
  /** PEM of the root that signs Pebble's own HTTPS, not the certificates it issues. */
  readonly rootPath: string;
  readonly managementUrl: string;
  readonly dns: FakeDns;
  /** Pebble 2.4 knows neither, 2.6 has ARI, 2.10 both. */
  readonly features: { ari: boolean; profiles: boolean };
  readonly pid: number;
  /** How many requests Pebble has served since it was ready, by kind. May lag behind an answer by a moment. */
  requests(): RequestCounts;
  /** The last 2,000 lines it printed. */
  log(): string[];
  /** The root above the certificates it issues; another one at each start. */
  issuedRootPem(): Promise<string>;
  intermediatePem(): Promise<string>;
  /** What ARI shall answer for a certificate (2.10). */
  setRenewalInfo(certificatePem: string, answer: unknown): Promise<void>;
  kill9(): Promise<void>;
  stop(): Promise<void>;
}

const DEFAULT_ENV = {
  PEBBLE_VA_NOSLEEP: "1",
  PEBBLE_WFE_NONCEREJECT: "5",
  // Its dice still reuse one valid authorization in a hundred.
  PEBBLE_AUTHZREUSE: "0",
};

export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  const { pebble: program } = await ensureTools(["pebble", "pebble-challtestsrv"]);
  const dir = tempDir("certherd-pebble");
  const cert = await makeServerCert(dir);
  const { dns, server: dnsServer } = await startFakeDns(dir);
  const address = `127.0.0.1:${await freePort()}`;
  const management = `127.0.0.1:${await freePort()}`;
  const config = join(dir, "pebble.json");
  writeFileSync(config, JSON.stringify({ pebble: await settings(options, cert, address, management) }));

  let counts: RequestCounts = {};
  const server = startProcess(
    program,
    ["-config", config, "-dnsserver", options.dnsServer ?? dns.address, ...(options.args ?? [])],
    { cwd: dir, env: environment(options.env), onLine: (line) => countLine(counts, line) },
  );
  const stop = async () => {
    await Promise.all([server.stop(), dnsServer.stop()]);
    removeDir(dir);
  };
  const ca = readFileSync(cert.rootPath, "utf8");
  const directoryUrl = `https://${address}/dir`;
  const managementUrl = `https://${management}`;
  let directory: Directory = {};
  try {
    // The management port opens in the background, and may be the later of the two.
    await server.ready(() => httpText(`${managementUrl}/roots/0`, { ca }));
    await server.ready(async () => {
      directory = JSON.parse(await httpText(directoryUrl, { ca })) as Directory;
      return true;
    });
    // Its log can lag behind its answer; our own request is not to be counted.
    await server.ready(() => counts.directory);
  } catch (error) {
    await stop();
    throw error;
  }
  counts = {};
  return {
    directoryUrl,
    rootPath: cert.rootPath,
    managementUrl,
    dns,
    features: { ari: directory.renewalInfo !== undefined, profiles: directory.meta?.profiles !== undefined },
    pid: server.pid,
    requests: () => ({ ...counts }),
    log: () => server.lines(),
    issuedRootPem: () => httpText(`${managementUrl}/roots/0`, { ca }),
    intermediatePem: () => httpText(`${managementUrl}/intermediates/0`, { ca }),
    async setRenewalInfo(certificatePem, answer) {
      const json = { Certificate: certificatePem, ARIResponse: JSON.stringify(answer) };
      await httpText(`${managementUrl}/set-renewal-info/`, { ca, json });
    },
    kill9: () => server.kill9(),
    stop,
  };
}

interface Directory {
  renewalInfo?: string;
  meta?: { profiles?: unknown };
}

async function settings(options: PebbleOptions, cert: ServerCert, address: string, management: string) {
  const validityPeriod = options.validityPeriod ?? 90 * 86_400;
  return {
    listenAddress: address,
    managementListenAddress: management,
    certificate: cert.certPath,
    privateKey: cert.keyPath,
    httpPort: options.httpPort,
    tlsPort: options.tlsPort ?? (await freePort()),
    externalAccountBindingRequired: options.eab !== undefined,
    externalAccountMACKeys: options.eab ?? {},
    domainBlocklist: options.blocklist ?? [],
    retryAfter: options.retryAfter ?? { authz: 1, order: 1 },
    // Of several profiles Pebble picks one at random when the order names none.
    profiles: options.profiles ?? { default: { description: "The only profile", validityPeriod } },
    // What 2.4 reads in place of the profiles.
    certificateValidityPeriod: validityPeriod,
    // Signing with RSA, the default, costs far more CPU. 2.4 ignores this.
    keyAlgorithm: "ecdsa",
  };
}

/** A PEBBLE_* of the developer's shell must not change what a test sees. */
function environment(own: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("PEBBLE_"));
  return { ...Object.fromEntries(inherited), ...DEFAULT_ENV, ...own };
}

/** All versions print "POST /order-plz -> calling handler()" for a request. */
function countLine(counts: RequestCounts, line: string): void {
  const path = / (\/\S*) -> calling handler\(\)/.exec(line)?.[1];
  if (path !== undefined) countRequest(counts, acmeKind(path));
}
