/**
 * A proxy before Pebble for runs of thousands of certificates. Pebble deadlocks when the wrong requests overlap:
 * an authorization's handler holds that authorization and asks for the database, newOrder holds the database and
 * asks for every authorization, an order's handler for those of its order. As soon as a writer waits for the
 * database in between, none of them ever moves again. So the three go by turns here. The fault is Pebble's
 * alone: nothing of the kind belongs in the product, and everything else passes unchanged.
 */
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request as tlsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { acmeKind, countRequest, NEW_NONCE_PATH, type RequestCounts } from "./acme-kinds.ts";
import { makeServerCert } from "./certs.ts";
import { readJws, type SeenJws } from "./jws.ts";
import { freePort, removeDir, tempDir } from "./temp.ts";
import { Turns } from "./turns.ts";

/** Which requests must not overlap: those of one lane may, those of two lanes may not. Others pass freely. */
const LANES: Readonly<Record<string, string>> = {
  newOrder: "newOrder",
  authz: "authz",
  challenge: "authz",
  order: "order",
  orders: "order",
  finalize: "order",
};

export interface GateOptions {
  /** Pebble's directory. */
  upstream: string;
  /** The root of Pebble's HTTPS. */
  rootPath: string;
  /** A request without an answer fails with 504 after this long, should Pebble hang all the same. */
  watchdogMs?: number;
  /** Answers in Pebble's place where it returns something: the failures of a CA that Pebble never shows. */
  answer?: (kind: string) => Answer | undefined;
  /** The same for what depends on the request. Comes before the request waits for its turn. */
  before?: (exchange: Exchange) => Answer | undefined | Promise<Answer | undefined>;
  /**
   * What became of each request that `before` let through, before the client knows. No answer: Pebble gave none, or
   * the client had hung up before its turn.
   */
  after?: (exchange: Exchange, answer: Answer | undefined) => void;
}

export interface Exchange {
  readonly kind: string;
  readonly method: string;
  /** As the client asked for it, and as Pebble writes it in its answers. */
  readonly url: string;
  readonly body: Buffer;
  /** Not verified; undefined where the body is none. */
  readonly jws: SeenJws | undefined;
  /** A fresh one of Pebble's, for an answer in its place. */
  nonce(): Promise<string>;
}

export interface Gate {
  readonly directoryUrl: string;
  /** Trusts the gate, and Pebble's own ports too. */
  readonly rootPath: string;
  requests(): RequestCounts;
  /** Requests that the watchdog failed: above 0, Pebble has hung. */
  stalls(): number;
  stop(): Promise<void>;
}

export interface Answer {
  status: number;
  /** As they came, name and value by turns: several Link headers stay several. */
  rawHeaders: string[];
  body: Buffer;
}

export async function startGate(options: GateOptions): Promise<Gate> {
  const { upstream, rootPath, watchdogMs = 30_000 } = options;
  const dir = tempDir("certherd-gate");
  const cert = await makeServerCert(dir);
  const ca = readFileSync(rootPath, "utf8");
  const bothRoots = join(dir, "roots.pem");
  writeFileSync(bothRoots, readFileSync(cert.rootPath, "utf8") + ca);

  const counts: RequestCounts = {};
  let stalls = 0;
  const turns = new Turns();
  const agent = new Agent({ keepAlive: true, ca, servername: "localhost" });
  const target = new URL(upstream);

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const kind = acmeKind(request.url ?? "");
    countRequest(counts, kind);
    const watchdog = new AbortController();
    const timer = setTimeout(() => {
      stalls++;
      fail(response, 504, `no answer to ${kind} in ${watchdogMs} ms`);
      watchdog.abort();
    }, watchdogMs);
    const ask: Ask = (...what) => forward(target, agent, watchdog.signal, ...what);
    try {
      // The whole body first, so that a slow client holds up nobody in its lane.
      const exchange = exchangeOf(kind, request, await readAll(request), ask);
      const own = options.answer?.(kind) ?? (await options.before?.(exchange));
      if (own) return send(response, request, own);
      const answer = await inTurn(exchange, request, response, ask);
      if (answer) send(response, request, answer);
    } catch (error) {
      fail(response, 502, error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(timer);
    }
  };

  const inTurn = async (
    exchange: Exchange,
    request: IncomingMessage,
    response: ServerResponse,
    ask: Ask,
  ): Promise<Answer | undefined> => {
    const lane = LANES[exchange.kind];
    const leave = lane === undefined ? undefined : await turns.enter(lane);
    let answer: Answer | undefined;
    try {
      // A client that hung up while it waited is not served, as if its request had been lost on the way.
      if (response.destroyed || response.writableEnded) return;
      answer = await ask(exchange.method, request.url ?? "", request.headers, exchange.body);
      return answer;
    } finally {
      leave?.();
      options.after?.(exchange, answer);
    }
  };

  const server = createServer(
    { cert: readFileSync(cert.certPath), key: readFileSync(cert.keyPath), keepAliveTimeout: 120_000 },
    (request, response) => {
      handle(request, response).catch(() => response.destroy());
    },
  );
  await once(server.listen(await freePort(), "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    directoryUrl: `https://127.0.0.1:${port}${target.pathname}`,
    rootPath: bothRoots,
    requests: () => ({ ...counts }),
    stalls: () => stalls,
    async stop() {
      agent.destroy();
      server.close();
      server.closeAllConnections();
      await once(server, "close");
      removeDir(dir);
    },
  };
}

function exchangeOf(kind: string, request: IncomingMessage, body: Buffer, ask: Ask): Exchange {
  const { method = "GET", url = "", headers } = request;
  let jws: SeenJws | undefined;
  return {
    kind,
    method,
    url: `https://${headers.host}${url}`,
    body,
    // Most callers never look at it.
    get jws() {
      jws ??= readJws(body);
      return jws;
    },
    async nonce() {
      // Pebble 2.10 refuses requests without a User-Agent.
      const answer = await ask("HEAD", NEW_NONCE_PATH, { "user-agent": "certherd-gate" }, Buffer.alloc(0));
      return headerOf(answer, "replay-nonce") ?? "";
    },
  };
}

type Ask = (method: string, path: string, headers: IncomingHttpHeaders, body: Buffer) => Promise<Answer>;

/**
 * The client's Host goes along: Pebble builds its URLs from it, and checks the one that the client signed. If
 * the client hangs up now, the turn lasts until Pebble has answered, as its locks do.
 */
async function forward(
  target: URL,
  agent: Agent,
  signal: AbortSignal,
  ...[method, path, requestHeaders, body]: Parameters<Ask>
): Promise<Answer> {
  const { connection: _hop, "transfer-encoding": _coding, ...headers } = requestHeaders;
  const { hostname, port } = target;
  const upstream = tlsRequest({
    agent,
    hostname,
    port,
    signal,
    method,
    path,
    headers: { ...headers, ...(body.length > 0 && { "content-length": `${body.length}` }) },
  });
  upstream.end(body);
  const [response] = (await once(upstream, "response")) as [IncomingMessage];
  return {
    status: response.statusCode ?? 502,
    rawHeaders: response.rawHeaders,
    body: await readAll(response),
  };
}

/** The first header of that name, which is given in lower case. */
export function headerOf(answer: Answer, name: string): string | undefined {
  const at = answer.rawHeaders.findIndex((each, index) => index % 2 === 0 && each.toLowerCase() === name);
  return at < 0 ? undefined : answer.rawHeaders[at + 1];
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, request: IncomingMessage, answer: Answer): void {
  if (response.headersSent || response.destroyed) return;
  const headers: string[] = [];
  for (let at = 0; at < answer.rawHeaders.length; at += 2) {
    const [name = "", value = ""] = answer.rawHeaders.slice(at, at + 2);
    if (!/^(connection|keep-alive|transfer-encoding|content-length)$/i.test(name)) headers.push(name, value);
  }
  if (request.method !== "HEAD" && answer.status !== 204) {
    headers.push("Content-Length", `${answer.body.length}`);
  }
  response.writeHead(answer.status, headers).end(answer.body);
}

function fail(response: ServerResponse, status: number, detail: string): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { "content-type": "text/plain" }).end(`gate: ${detail}\n`);
}
