/** An HTTP server that answers as it is told, for what no well-behaved server can be made to do. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
}

/** Answers by itself where it returns nothing: it may leave the request hanging, or cut it off. */
export type Script = (request: IncomingMessage, response: ServerResponse) => Answer | undefined;

export interface ScriptedServer {
  readonly url: string;
  readonly port: number;
  /** "METHOD /path" of each request so far. */
  readonly requests: string[];
  stop(): Promise<void>;
}

export async function startScripted(script: Script, port = 0): Promise<ScriptedServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    request.resume();
    const answer = script(request, response);
    if (answer === undefined) return;
    response.writeHead(answer.status ?? 200, answer.headers).end(answer.body);
  });
  await once(server.listen(port, "127.0.0.1"), "listening");
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    requests,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
