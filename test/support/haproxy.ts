/** The real HAProxy on loopback: TLS on one port with a crt-list and a default certificate, HTTP on another. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { ensureTools } from "../../scripts/tools.ts";
import { type ServerProcess, startProcess } from "./process.ts";
import { freePort, tempDir } from "./temp.ts";

export interface HaproxyOptions {
  /** Where /.well-known/acme-challenge/ on the HTTP port goes. */
  acmePort?: number;
  /** Bytes; HAProxy's own when left out. */
  bufsize?: number;
  /** Of the runtime socket. */
  level?: "admin" | "operator" | "user";
  /** Its folder, kept when it is stopped; a temporary one when left out. */
  dir?: string;
  port?: number;
  httpPort?: number;
  /** Further lines of `global`. */
  global?: readonly string[];
  /** Further words of the TLS port's `bind` line. */
  bind?: string;
}

export interface Haproxy {
  /** TLS. */
  readonly port: number;
  readonly httpPort: number;
  readonly socket: string;
  readonly crtList: string;
  readonly certDir: string;
  readonly dir: string;
  pid(): number;
  /** One command on the runtime socket, as an operator gives it with socat. */
  command(text: string): Promise<string>;
  /** With what is on disk. */
  restart(): Promise<void>;
  /** The serial in upper-case hex that a handshake under this name finds, whether or not its certificate fits. */
  serial(name: string): Promise<string>;
  stop(): Promise<void>;
  kill9(): Promise<void>;
}

export async function startHaproxy(options: HaproxyOptions = {}): Promise<Haproxy> {
  const { haproxy: program, openssl } = await ensureTools(["haproxy", "openssl"]);
  const dir = options.dir ?? tempDir("certherd-haproxy");
  const [port, httpPort] = [options.port ?? (await freePort()), options.httpPort ?? (await freePort())];
  const place = {
    socket: join(dir, "admin.sock"),
    crtList: join(dir, "certs.list"),
    certDir: join(dir, "certs"),
  };
  mkdirSync(place.certDir, { recursive: true, mode: 0o700 });
  writeFileSync(place.crtList, "# certificates of this load balancer\n", { flag: "a" });
  makeDefault(openssl, dir);
  const config = join(dir, "haproxy.cfg");
  writeFileSync(config, configOf(dir, place, { ...options, port, httpPort }));
  let running: ServerProcess | undefined;
  const command = (text: string): Promise<string> => ask(place.socket, text);
  const start = async (): Promise<void> => {
    // A master process would come between us and the process that serves.
    running = startProcess(program, ["-db", "-f", config], { cwd: dir });
    await running.ready(async () => (await command("show info\n").catch(() => "")).includes("Uptime"));
  };
  await start();
  return {
    ...place,
    port,
    httpPort,
    dir,
    pid: () => running?.pid ?? -1,
    command,
    async restart() {
      await running?.stop();
      await start();
    },
    async stop() {
      await running?.stop();
    },
    serial: (name) => serialAt(port, name),
    kill9: async () => await running?.kill9(),
  };
}

function configOf(
  dir: string,
  { socket, crtList }: { socket: string; crtList: string },
  { port, httpPort, acmePort, bufsize, level = "admin", global = [], bind = "" }: HaproxyOptions,
): string {
  const acme =
    acmePort === undefined
      ? []
      : ["    acl acme path_beg /.well-known/acme-challenge/", "    use_backend certherd_acme if acme"];
  return [
    "global",
    `    stats socket ${socket} mode 600 level ${level}`,
    "    nbthread 2",
    ...(bufsize === undefined ? [] : [`    tune.bufsize ${bufsize}`]),
    ...global.map((line) => `    ${line}`),
    "defaults",
    "    mode http",
    "    timeout connect 5s",
    "    timeout client 10s",
    "    timeout server 10s",
    "frontend https",
    `    bind 127.0.0.1:${port} ssl crt ${join(dir, "default.pem")} crt-list ${crtList} ${bind}`,
    '    http-request return status 200 content-type text/plain string "served by HAProxy"',
    "frontend http",
    `    bind 127.0.0.1:${httpPort}`,
    ...acme,
    // HAProxy looks at these rules before it chooses a backend.
    `    http-request return status 404 content-type text/plain string "nothing here"${acmePort === undefined ? "" : " unless acme"}`,
    ...(acmePort === undefined ? [] : ["backend certherd_acme", `    server certherd 127.0.0.1:${acmePort}`]),
    "",
  ].join("\n");
}

function makeDefault(openssl: string, dir: string): void {
  const [key, cert, pem] = ["default.key", "default.crt", "default.pem"].map((name) => join(dir, name));
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
  const files = ["-keyout", key ?? "", "-out", cert ?? ""];
  execFileSync(openssl, ["req", "-x509", ...kind, "-subj", "/CN=default.invalid", ...files], {
    stdio: "pipe",
  });
  writeFileSync(pem ?? "", readFileSync(cert ?? "", "utf8") + readFileSync(key ?? "", "utf8"), {
    mode: 0o600,
  });
}

async function serialAt(port: number, name: string): Promise<string> {
  const client = connectTls({ host: "127.0.0.1", port, servername: name, rejectUnauthorized: false });
  try {
    await once(client, "secureConnect");
    return client.getPeerCertificate().serialNumber;
  } finally {
    client.destroy();
  }
}

function ask(socket: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket);
    let answer = "";
    connection.setEncoding("utf8").on("data", (chunk: string) => {
      answer += chunk;
    });
    connection.on("error", reject);
    connection.on("close", () => resolve(answer));
    connection.write(text);
  });
}
