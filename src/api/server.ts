import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { AppError } from "../core/errors.ts";

/** Milliseconds that requests in hand may take when the process is to end, and between two looks at who is done. */
const DRAIN = 10_000;
const LOOK = 50;

export interface Listening {
  url: string;
  close(): Promise<void>;
}

/**
 * Who is connected, and who waits for an answer. Node's own closeIdleConnections passes over those that have never
 * asked for anything, as browsers keep in reserve, and these would hold up the end.
 */
class Connections {
  readonly #pending = new Map<Socket, number>();

  constructor(server: Server) {
    server.on("connection", (socket: Socket) => {
      this.#pending.set(socket, 0);
      socket.once("close", () => this.#pending.delete(socket));
    });
    server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
      this.#count(socket, 1);
      response.once("close", () => this.#count(socket, -1));
    });
  }

  #count(socket: Socket, change: number): void {
    const pending = this.#pending.get(socket);
    if (pending !== undefined) this.#pending.set(socket, pending + change);
  }

  endIdle(): void {
    for (const [socket, pending] of this.#pending) if (pending === 0) socket.destroySoon();
  }

  endAll(): void {
    for (const socket of this.#pending.keys()) socket.destroy();
  }
}

/** Opens the port, or throws an error that says what to do about it. */
export async function listen(
  app: FastifyInstance,
  address: { host: string; port: number },
): Promise<Listening> {
  const connections = new Connections(app.server);
  try {
    await app.listen(address);
  } catch (error) {
    await app.close();
    throw listenError(error, address);
  }
  return { url: urlOf(app.server.address() as AddressInfo), close: () => drain(app, connections) };
}

async function drain(app: FastifyInstance, connections: Connections): Promise<void> {
  const late = setTimeout(() => connections.endAll(), DRAIN);
  const looks = setInterval(() => connections.endIdle(), LOOK);
  try {
    await app.close();
  } finally {
    clearTimeout(late);
    clearInterval(looks);
  }
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}

function listenError(error: unknown, { host, port }: { host: string; port: number }): AppError {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  const where = `Port ${port} on ${host}`;
  const messages: Record<string, string> = {
    EADDRINUSE: `${where} is taken; set CERTHERD_LISTEN to another one, or stop what listens there.`,
    EACCES: `${where} may not be opened by this user; set CERTHERD_LISTEN to a port above 1023.`,
    EADDRNOTAVAIL: `${where}: that is no address of this host; correct CERTHERD_LISTEN.`,
    ENOTFOUND: `${where}: there is no such host; correct CERTHERD_LISTEN.`,
  };
  return new AppError(messages[code] ?? `${where} cannot be opened (${code}); see CERTHERD_LISTEN.`, {
    code: "cannot_listen",
    disposition: "usage",
    cause: error,
  });
}
