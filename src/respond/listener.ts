import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

const PATH = "/.well-known/acme-challenge/";
/** base64url, of at least the 128 bits that RFC 8555 §8.3 asks for; nothing longer is any CA's. */
const TOKEN = /^[A-Za-z0-9_-]{16,256}$/;
const TIMEOUT = 10_000;

export type Lookup = (token: string) => Promise<string | undefined>;

/** Answers http-01 challenges (RFC 8555 §8.3) on one port, and nothing else. */
export class ChallengeListener {
  readonly #server: Server;
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** Rejects with the system's error when the port cannot be had. */
  static async listen(host: string, port: number, lookup: Lookup): Promise<ChallengeListener> {
    const server = createServer((request, response) => {
      respond(request, response, lookup).catch(() => end(response, 503, "try again"));
    });
    server.requestTimeout = TIMEOUT;
    server.headersTimeout = TIMEOUT;
    server.keepAliveTimeout = 1_000;
    server.maxHeadersCount = 50;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => {
        server.off("error", reject);
        resolve();
      });
    });
    server.on("error", () => undefined);
    return new ChallengeListener(server, port);
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
      setTimeout(() => this.#server.closeAllConnections(), 1_000).unref();
    });
  }
}

async function respond(request: IncomingMessage, response: ServerResponse, lookup: Lookup): Promise<void> {
  request.resume();
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  const token = path.startsWith(PATH) ? path.slice(PATH.length) : "";
  if (!TOKEN.test(token)) return end(response, 404, "not found");
  if (request.method !== "GET" && request.method !== "HEAD") return end(response, 405, "GET only");
  const keyAuthorization = await lookup(token);
  if (keyAuthorization === undefined) return end(response, 404, "not found");
  end(response, 200, keyAuthorization);
}

function end(response: ServerResponse, status: number, body: string): void {
  if (response.headersSent) return;
  response.writeHead(status, {
    "Content-Type": "application/octet-stream",
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(body);
}
