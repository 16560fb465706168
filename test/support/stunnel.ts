/** The real stunnel on loopback: one master service with a certificate of its own, and a folder of further services. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { ensureTools } from "../../scripts/tools.ts";
import { type ServerProcess, startProcess } from "./process.ts";
import { freePort, removeDir, tempDir, waitUntil } from "./temp.ts";

export interface StunnelOptions {
  /** Without it, stunnel's reasons are nowhere to be read. */
  log?: boolean;
}

export interface TestStunnel {
  readonly program: string;
  readonly port: number;
  /** The main configuration. */
  readonly config: string;
  /** Where the file of further services goes; its folder is there, the file is not. */
  readonly services: string;
  readonly certDir: string;
  readonly pidFile: string;
  /** Name of the service that accepts. */
  readonly master: string;
  /** `host:port` of a server that answers each request with "behind stunnel". */
  readonly connect: string;
  pid(): number;
  /** How often it has begun to read its configuration again, since its first start. */
  reloads(): number;
  /** What it said, of all its starts. */
  log(): string;
  stop(): Promise<void>;
  /** Stops it and starts it anew, with what is on disk. */
  restart(): Promise<void>;
  /** Stops stunnel alone. */
  halt(): Promise<void>;
}

const MASTER = "https";
/** Each reading of the configuration begins with the main file. */
const READING = "Reading configuration from file";

export async function startStunnel({ log = true }: StunnelOptions = {}): Promise<TestStunnel> {
  const { stunnel: program, openssl } = await ensureTools(["stunnel", "openssl"]);
  const dir = tempDir("certherd-stunnel");
  const [port, behind] = [await freePort(), await startBehind()];
  const connect = `127.0.0.1:${(behind.address() as AddressInfo).port}`;
  const [config, include, pidFile] = [
    join(dir, "stunnel.conf"),
    join(dir, "services.d"),
    join(dir, "stunnel.pid"),
  ];
  mkdirSync(include);
  makeDefault(openssl, dir);
  const settings = [
    "foreground = yes",
    "syslog = no",
    "debug = notice",
    ...(log ? [`output = ${join(dir, "stunnel.log")}`] : []),
    `pid = ${pidFile}`,
    `[${MASTER}]`,
    `accept = 127.0.0.1:${port}`,
    `connect = ${connect}`,
    `cert = ${join(dir, "default.pem")}`,
    `include = ${include}`,
  ];
  writeFileSync(config, `${settings.join("\n")}\n`);

  const said: string[] = [];
  let starts = 0;
  let running: ServerProcess | undefined;
  // With a log file it tells its first reading on stderr as well.
  const text = (): string => (log ? readFileSync(join(dir, "stunnel.log"), "utf8") : said.join("\n"));
  const readings = (): number => text().split(`${READING} ${config}`).length - 1;
  const start = async (): Promise<void> => {
    running = startProcess(program, [config], { cwd: dir, onLine: (line) => said.push(line) });
    const { pid } = running;
    starts++;
    await running.ready(() => readFileSync(pidFile, "utf8").trim() === String(pid));
  };
  const halt = async (): Promise<void> => await running?.stop();
  await start();
  return {
    program,
    port,
    config,
    services: join(include, "certherd.conf"),
    certDir: join(dir, "certs"),
    pidFile,
    master: MASTER,
    connect,
    pid: () => running?.pid ?? -1,
    reloads: () => readings() - starts,
    log: text,
    halt,
    async restart() {
      await halt();
      await start();
    },
    async stop() {
      await halt();
      behind.closeAllConnections();
      await new Promise((resolve) => behind.close(resolve));
      removeDir(dir);
    },
  };
}

async function startBehind(): Promise<Server> {
  const server = createServer((_, response) => response.end("behind stunnel"));
  server.listen(0, "127.0.0.1");
  await waitUntil(() => server.listening);
  return server;
}

function makeDefault(openssl: string, dir: string): void {
  const [key, cert] = [join(dir, "default.key"), join(dir, "default.crt")];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
  const subject = ["-subj", "/CN=default.invalid", "-addext", "subjectAltName=DNS:default.invalid"];
  const out = ["-keyout", key, "-out", cert];
  execFileSync(openssl, ["req", "-x509", ...kind, ...subject, ...out], { stdio: "pipe" });
  writeFileSync(join(dir, "default.pem"), readFileSync(key, "utf8") + readFileSync(cert, "utf8"), {
    mode: 0o600,
  });
}
