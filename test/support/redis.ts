/** A real Redis (or Valkey) on a loopback port of its own. */
import { connect } from "node:net";
import { Redis, type RedisOptions } from "ioredis";
import { ensureTools } from "../../scripts/tools.ts";
import { type ServerProcess, startProcess } from "./process.ts";
import { freePort, removeDir, tempDir } from "./temp.ts";

export interface RedisServerOptions {
  /** Keeps an append-only file, so that data survives kill9() and restart(). */
  appendOnly?: boolean;
  /** Further arguments of redis-server; they come last and so win. */
  args?: readonly string[];
  port?: number;
  /** A folder of the caller's: it is left in place by stop(). */
  dir?: string;
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  readonly pid: number;
  /** A client that stop() disconnects. */
  client(options?: Omit<RedisOptions, "replyMapping">): Redis;
  /** Kills it as a crash would, and waits until it is gone. */
  kill9(): Promise<void>;
  /** Starts it anew on the same port and folder, stopping it first if it still runs. */
  restart(): Promise<void>;
  log(): string[];
  stop(): Promise<void>;
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { redis: program } = await ensureTools(["redis"]);
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? tempDir("certherd-redis");
  const url = `redis://127.0.0.1:${port}`;
  const clients: Redis[] = [];
  const cleanUp = () => {
    if (options.dir === undefined) removeDir(dir);
  };
  let server = await launch(program, port, dir, options).catch((error: unknown) => {
    cleanUp();
    throw error;
  });
  return {
    url,
    port,
    dir,
    get pid() {
      return server.pid;
    },
    client(clientOptions = {}) {
      const client = new Redis(url, { maxRetriesPerRequest: null, ...clientOptions });
      // Tests take the server away on purpose; without a listener ioredis prints each failed attempt.
      client.on("error", () => undefined);
      clients.push(client);
      return client;
    },
    kill9: () => server.kill9(),
    async restart() {
      await server.stop();
      server = await launch(program, port, dir, options);
    },
    log: () => server.lines(),
    async stop() {
      for (const client of clients) client.disconnect();
      await server.stop();
      cleanUp();
    },
  };
}

async function launch(
  program: string,
  port: number,
  dir: string,
  options: RedisServerOptions,
): Promise<ServerProcess> {
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", dir, "--daemonize", "no"];
  // No snapshots: they would make data survive, or not, by the clock.
  args.push("--save", "", "--appendonly", options.appendOnly ? "yes" : "no", "--appendfsync", "everysec");
  args.push("--maxmemory-policy", "noeviction", ...(options.args ?? []));
  const server = startProcess(program, args, { cwd: dir });
  await server.ready(() => answersPing(port));
  return server;
}

/** Redis accepts connections while it still loads its file; only +PONG means that it serves. */
async function answersPing(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on("data", (data) => {
      resolve(data.toString().startsWith("+PONG"));
      socket.destroy();
    });
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(false));
  });
}
