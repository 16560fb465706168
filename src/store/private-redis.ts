import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { searchPath } from "../config/environment.ts";
import { AppError } from "../core/errors.ts";
import { makeFolder } from "./atomic.ts";

/** A unix socket's path may not be longer (sockaddr_un is 108 bytes on Linux, 104 elsewhere). */
const SOCKET_PATH_MAX = 100;
const START_TIMEOUT = 20_000;
const PID_FILE = "redis.pid";
const SERVERS = ["redis-server", "valkey-server"];

/** Where the private Redis of a CERTHERD_HOME listens: a socket that only its owner can open. */
export function privateRedisSocket(home: string): string {
  const inHome = join(home, "redis", "redis.sock");
  if (Buffer.byteLength(inHome) <= SOCKET_PATH_MAX) return inHome;
  const short = createHash("sha256").update(home).digest("hex").slice(0, 16);
  return join(tmpdir(), `certherd-${userInfo().uid}-${short}`, "redis.sock");
}

/**
 * Makes sure that the private Redis of this home runs, and returns its URL. It is nobody's child: it outlives a
 * killed `up`, and whoever leaves last stops it (`leavePrivateRedis`).
 */
export async function ensurePrivateRedis(home: string): Promise<string> {
  const socket = privateRedisSocket(home);
  const url = urlOf(socket);
  const folder = join(home, "redis");
  await makeFolder(folder);
  await makeFolder(dirname(socket));
  if (dirname(socket) !== folder) checkOwn(dirname(socket));
  const deadline = Date.now() + START_TIMEOUT;
  while (Date.now() < deadline) {
    if (await answers(socket)) return url;
    if (takeStartLock(folder)) {
      try {
        if (await answers(socket)) return url;
        // One that lives and does not answer is loading its file, or stands still: two would write into the same file.
        if (!isRunning(folder)) {
          await startServer(folder, socket, deadline);
          return url;
        }
      } finally {
        rmSync(join(folder, "start.lock"), { force: true });
      }
    }
    await sleep(50);
  }
  throw unavailable(`The private Redis did not start within 20 s; its log is ${join(folder, "redis.log")}.`);
}

/** Its URL where it runs; for who only looks, and does not start it. Whoever was connected leaves it, too. */
export async function runningPrivateRedis(home: string): Promise<string | undefined> {
  const socket = privateRedisSocket(home);
  return (await answers(socket)) ? urlOf(socket) : undefined;
}

function urlOf(socket: string): string {
  return `unix://${socket.split("/").map(encodeURIComponent).join("/")}`;
}

/** Anybody can make folders among the temporary ones: in one that is not ours alone the socket may be theirs. */
function checkOwn(folder: string): void {
  const { uid, mode } = statSync(folder);
  if (uid === userInfo().uid && (mode & 0o077) === 0) return;
  throw unavailable(
    `The folder ${folder} is not this user's alone; remove it, or set CERTHERD_HOME to a shorter path.`,
  );
}

/** Stops the private Redis if no other process of ours is connected to it. */
export async function leavePrivateRedis(home: string): Promise<void> {
  const redis = connect(privateRedisSocket(home), "leave");
  try {
    await redis.connect();
    const clients = String(await redis.client("LIST")).split("\n");
    const others = clients.filter((line) => / name=certherd:(?!leave)/.test(line));
    if (others.length === 0) await redis.shutdown().catch(() => undefined);
  } catch {
    // It is gone already: nothing to leave.
  } finally {
    redis.disconnect();
  }
}

function connect(socket: string, name: string): Redis {
  const redis = new Redis({
    path: socket,
    lazyConnect: true,
    connectTimeout: 1_000,
    commandTimeout: 4_000,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    // A connection that the server has closed by ending is waited for this long, and a command is to end at once.
    disconnectTimeout: 50,
    connectionName: `certherd:${name}`,
  });
  redis.on("error", () => undefined);
  return redis;
}

async function answers(socket: string): Promise<boolean> {
  if (!existsSync(socket)) return false;
  const redis = connect(socket, "arrive");
  try {
    await redis.connect();
    return (await redis.ping()) === "PONG";
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}

/** An exclusive file with our process id; one that a dead process left is taken over. */
function takeStartLock(folder: string): boolean {
  const path = join(folder, "start.lock");
  try {
    const handle = openSync(path, "wx", 0o600);
    writeFileSync(handle, String(process.pid));
    closeSync(handle);
    return true;
  } catch {
    try {
      const holder = Number(readFileSync(path, "utf8"));
      const old = Date.now() - statSync(path).mtimeMs > START_TIMEOUT;
      if (old || (holder > 0 && !isAlive(holder))) rmSync(path, { force: true });
    } catch {
      // Released between the two looks: the next turn takes it.
    }
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Whether the server that wrote its process id there is still the one of that number. */
function isRunning(folder: string): boolean {
  try {
    const pid = Number(readFileSync(join(folder, PID_FILE), "utf8"));
    if (!(pid > 0) || !isAlive(pid)) return false;
    return /redis|valkey/.test(readFileSync(`/proc/${pid}/comm`, "utf8"));
  } catch {
    return false;
  }
}

async function startServer(folder: string, socket: string, deadline: number): Promise<void> {
  const settings: Record<string, string> = {
    port: "0",
    unixsocket: socket,
    unixsocketperm: "700",
    dir: folder,
    appendonly: "yes",
    appendfsync: "everysec",
    save: "",
    "maxmemory-policy": "noeviction",
    logfile: join(folder, "redis.log"),
    pidfile: join(folder, PID_FILE),
    daemonize: "no",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const server = spawn(serverPath(), args, { detached: true, stdio: "ignore" });
  let failure: string | undefined;
  server.once("error", (error) => {
    failure = error.message;
  });
  server.once("exit", (code) => {
    failure ??= `it ended with code ${code}`;
  });
  server.unref();
  while (Date.now() < deadline) {
    if (await answers(socket)) return;
    if (failure !== undefined) break;
    await sleep(25);
  }
  const why = failure ?? "it does not answer";
  throw unavailable(`The private Redis did not start (${why}); its log is ${join(folder, "redis.log")}.`);
}

function serverPath(): string {
  // PATH of a service is often short; Debian installs the server in /usr/bin.
  const folders = [...searchPath(), "/usr/bin", "/usr/local/bin"];
  for (const name of SERVERS)
    for (const folder of folders) if (existsSync(join(folder, name))) return join(folder, name);
  throw unavailable(
    "No redis-server or valkey-server was found; install one (Debian: apt-get install redis-server), or set REDIS_URL.",
  );
}

function unavailable(message: string): AppError {
  return new AppError(message, { code: "redis_unavailable", disposition: "unavailable" });
}
