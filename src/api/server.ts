import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { AppError } from "../core/errors.ts";

/** Milliseconds that requests in hand may take when the process is to end. */
const DRAIN = 10_000;

export interface Listening {
  url: string;
  close(): Promise<void>;
}

/** Opens the port, or throws an error that says what to do about it. */
export async function listen(
  app: FastifyInstance,
  address: { host: string; port: number },
): Promise<Listening> {
  try {
    await app.listen(address);
  } catch (error) {
    await app.close();
    throw listenError(error, address);
  }
  return { url: urlOf(app.server.address() as AddressInfo), close: () => drain(app) };
}

async function drain(app: FastifyInstance): Promise<void> {
  const late = setTimeout(() => app.server.closeAllConnections(), DRAIN);
  try {
    await app.close();
  } finally {
    clearTimeout(late);
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
