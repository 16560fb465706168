import { type ClientRequest, type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";

/** Bytes of a body that are read; more is no answer to a challenge. */
const MOST_BODY = 64 * 1024;

/** What a host answered to one GET, or why it did not. */
export type Answer =
  | { kind: "response"; status: number; location: string | undefined; body: string }
  /** `connected`: whether the host took the connection. `code` is the system's, such as ECONNREFUSED. */
  | { kind: "error"; connected: boolean; code: string };

/**
 * GETs a URL from one address, whatever DNS says of its host. Any certificate will do, as with a CA that is about to
 * issue one: https://letsencrypt.org/docs/challenge-types/#http-01-challenge. `signal` ends it. Never rejects.
 */
export function fetchFrom(address: string, port: number, url: URL, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    let connected = false;
    const options = {
      host: address,
      port,
      path: `${url.pathname}${url.search}`,
      // Accept, as firewalls take a request without it for an attack.
      headers: { Host: url.host, "User-Agent": "certherd/0.1 (preflight)", Accept: "*/*" },
      agent: false,
      signal,
    };
    const request: ClientRequest =
      url.protocol === "https:"
        ? tlsRequest({ ...options, servername: url.hostname, rejectUnauthorized: false })
        : plainRequest(options);
    request.on("socket", (socket) => socket.once("connect", () => (connected = true)));
    request.on("error", (error: NodeJS.ErrnoException) =>
      resolve({ kind: "error", connected, code: error.code ?? "unknown" }),
    );
    request.on("response", (response) => {
      readBody(response, (body) => {
        resolve({
          kind: "response",
          status: response.statusCode ?? 0,
          location: response.headers.location,
          body,
        });
        request.destroy();
      });
      response.on("error", (error: NodeJS.ErrnoException) =>
        resolve({ kind: "error", connected: true, code: error.code ?? "unknown" }),
      );
    });
    request.end();
  });
}

/** Of a redirect nobody needs the body, which may well be long. */
function readBody(response: IncomingMessage, done: (body: string) => void): void {
  if (response.statusCode !== 200) {
    done("");
    return;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  response.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size > MOST_BODY) done(Buffer.concat(chunks).toString());
  });
  response.on("end", () => done(Buffer.concat(chunks).toString()));
}
