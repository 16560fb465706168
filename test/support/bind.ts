/** BIND as primary and secondary of the same zones: real name servers, with TSIG, on loopback addresses. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureTools } from "../../scripts/tools.ts";
import { Lookup } from "../../src/dns/lookup.ts";
import { query, txtValues } from "../../src/dns/query.ts";
import { type ServerProcess, startProcess } from "./process.ts";
import { freePort, removeDir, tempDir } from "./temp.ts";

const PRIMARY = "127.0.0.1";
/**
 * NS records know no port, so the secondary needs an address of its own. BIND listens only on addresses that an
 * interface has, which this one is not: a relay does.
 */
const SECONDARY = "127.0.0.2";

export interface ZoneOptions {
  name: string;
  /** Lines of the zone file beside SOA, NS and the addresses of the name servers. */
  records?: readonly string[];
  /** Whether the key may change it; yes when left out. */
  updates?: boolean;
}

export interface BindOptions {
  zones: readonly ZoneOptions[];
  algorithm?: string;
  /** The secondary is not told of changes, and asks by itself every two seconds or so. */
  lagging?: boolean;
}

export interface TestKey {
  name: string;
  algorithm: string;
  /** base64 */
  secret: string;
  /** As tsig-keygen writes it. */
  file: string;
}

export interface Bind {
  port: number;
  /** `address:port` of the primary; a resolver too, for what it has. */
  primary: string;
  key: TestKey;
  /** The TXT values that the primary, or the secondary, has at a name. */
  txt(name: string, of?: "primary" | "secondary"): Promise<string[]>;
  stopSecondary(): Promise<void>;
  startSecondary(): Promise<void>;
  log(): string[];
  stop(): Promise<void>;
}

export async function startBind({
  zones,
  algorithm = "hmac-sha256",
  lagging = false,
}: BindOptions): Promise<Bind> {
  const { named } = await ensureTools(["named"]);
  const dir = tempDir("certherd-bind");
  // A copy, as AppArmor lets the system's own read nothing here.
  const program = join(dir, "named");
  copyFileSync(named, program);
  const ports = { primary: await freePort(), secondary: await freePort() };
  const port = ports.primary;
  const key = writeKey(join(dir, "certherd.key"), algorithm);
  const start = async (which: "primary" | "secondary"): Promise<ServerProcess> => {
    const folder = join(dir, which);
    mkdirSync(folder, { recursive: true });
    for (const zone of which === "primary" ? zones : [])
      writeFileSync(join(folder, zone.name), zoneFile(zone));
    if (which === "primary") writeFileSync(join(folder, "root"), EMPTY_ROOT);
    const blocks = zones.map((zone) =>
      which === "primary" ? primaryZone(zone, key, ports.secondary, lagging) : secondaryZone(zone, port),
    );
    const config = join(folder, "named.conf");
    writeFileSync(
      config,
      [options(folder, ports[which]), key.clause, ...blocks, which === "primary" ? ROOT_ZONE : ""].join("\n"),
    );
    const server = startProcess(program, ["-g", "-c", config], { cwd: folder });
    const lookup = new Lookup({ resolvers: [`${PRIMARY}:${ports[which]}`], timeout: 500 });
    await server.ready(
      async () => (await Promise.all(zones.map(({ name }) => lookup.zoneOf(name)))).length > 0,
    );
    return server;
  };
  const primary = await start("primary");
  const startSecondary = async (): Promise<() => Promise<void>> => {
    const server = await start("secondary");
    const relay = await relayUdp({ address: SECONDARY, port }, ports.secondary);
    return async () => {
      relay();
      await server.stop();
    };
  };
  let stopSecondary: (() => Promise<void>) | undefined = await startSecondary();
  return {
    port,
    primary: `${PRIMARY}:${port}`,
    key,
    async txt(name, of = "primary") {
      const server = { address: of === "primary" ? PRIMARY : SECONDARY, port };
      return txtValues((await query(server, name, "TXT", { timeout: 2_000, recursion: false })).answers);
    },
    async stopSecondary() {
      await stopSecondary?.();
      stopSecondary = undefined;
    },
    async startSecondary() {
      stopSecondary ??= await startSecondary();
    },
    log: () => primary.lines(),
    async stop() {
      await Promise.all([primary.stop(), stopSecondary?.()]);
      removeDir(dir);
    },
  };
}

/** Hands datagrams on to a port of this host, and the answers back. Returns what ends it. */
async function relayUdp(
  { address, port }: { address: string; port: number },
  to: number,
): Promise<() => void> {
  const front = createSocket("udp4");
  const behind = new Set<ReturnType<typeof createSocket>>();
  front.on("message", (message, from) => {
    const socket = createSocket("udp4");
    behind.add(socket);
    socket.on("error", () => undefined);
    socket.on("message", (answer) => {
      front.send(answer, from.port, from.address);
      behind.delete(socket);
      socket.close();
    });
    socket.send(message, to, PRIMARY);
  });
  front.bind(port, address);
  await once(front, "listening");
  return () => {
    front.close();
    for (const socket of behind) socket.close();
  };
}

function writeKey(file: string, algorithm: string): TestKey & { clause: string } {
  const secret = Buffer.from("certherd tests sign with this, 32").toString("base64");
  const clause = `key "certherd-test" {\n\talgorithm ${algorithm};\n\tsecret "${secret}";\n};\n`;
  writeFileSync(file, clause, { mode: 0o600 });
  return { name: "certherd-test", algorithm, secret, file, clause };
}

function options(folder: string, port: number): string {
  return `controls {};
options {
  directory "${folder}";
  listen-on port ${port} { ${PRIMARY}; };
  listen-on-v6 { none; };
  pid-file none;
  session-keyfile none;
  dnssec-validation no;
  recursion yes;
  allow-recursion { any; };
  allow-query { any; };
  notify-delay 0;
  notify-rate 1000;
  startup-notify-rate 1000;
  serial-query-rate 1000;
};`;
}

function primaryZone(
  { name, updates = true }: ZoneOptions,
  { name: key }: TestKey,
  port: number,
  lagging: boolean,
): string {
  const notify = lagging ? "notify no;" : `notify explicit; also-notify { ${PRIMARY} port ${port}; };`;
  const policy = updates ? `update-policy { grant ${key} zonesub TXT; };` : "";
  return `zone "${name}" { type primary; file "${name}"; ${policy} ${notify} };`;
}

function secondaryZone({ name }: ZoneOptions, port: number): string {
  return `zone "${name}" { type secondary; file "${name}"; primaries { ${PRIMARY} port ${port}; }; allow-notify { ${PRIMARY}; }; min-refresh-time 1; };`;
}

function zoneFile({ name, records = [] }: ZoneOptions): string {
  return `$TTL 1
@ IN SOA ns1.${name}. hostmaster.${name}. 1 2 1 600 1
@ IN NS ns1.${name}.
@ IN NS ns2.${name}.
@ IN A ${PRIMARY}
ns1 IN A ${PRIMARY}
ns2 IN A ${SECONDARY}
${records.join("\n")}
`;
}

/** So that what is asked of other zones is answered here, and no packet leaves the machine. */
const ROOT_ZONE = 'zone "." { type primary; file "root"; notify no; };';
const EMPTY_ROOT = `$TTL 1
@ IN SOA localhost. hostmaster.localhost. 1 3600 600 86400 1
@ IN NS localhost.
localhost. IN A ${PRIMARY}
`;
