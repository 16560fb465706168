import { createSecureContext, rootCertificates } from "node:tls";
import { Agent, type Dispatcher, request } from "undici";
import { AppError } from "../core/errors.ts";
import { NoncePool } from "./nonces.ts";
import { isProblem, problemError } from "./problems.ts";
import { refusalError } from "./terms.ts";

/**
 * How acme-client reaches a CA. Its own way (axios, a HEAD for every nonce, errors reduced to a message, 429 slept
 * through with the request in hand, no time limit) is not made for bulk; these requests are:
 * - the HEAD for a nonce is answered from a pool fed by earlier responses;
 * - an error status is a typed AppError, `badNonce` apart, which the library repeats itself;
 * - Retry-After is kept beside the body, for whoever polls.
 */

/** Milliseconds: until the head of an answer, and between two parts of its body. */
const HEAD_TIMEOUT = 30_000;
const BODY_TIMEOUT = 10_000;
const MAX_BODY = 1024 * 1024;
const MAX_SOCKETS = 64;
/** Seconds. More than a year is no wait but a mistake, and would not even be a date. */
const LONGEST_WAIT = 31_536_000;

export interface Endpoint {
  directory: string;
  /** PEM, trusted beside the system's roots. */
  root?: string;
  /** Waits until a request to this URL may go over the wire. */
  pace?: (url: string, method: string) => Promise<void>;
  /** Told of each request that went over the wire. */
  answered?: (asked: Asked) => void;
  userAgent: string;
  /** Milliseconds until the head of an answer; 30 s when left out. */
  timeout?: number;
}

/** A request, and what came of it. */
export interface Asked {
  url: string;
  method: string;
  /** 0 where there was no answer. */
  status: number;
  /** The sentence of a problem document. */
  detail?: string;
}

/** What acme-client reads of an answer. */
export interface TransportResponse {
  status: number;
  headers: Record<string, string>;
  data: unknown;
}

interface Route {
  endpoint: Endpoint;
  agent: Agent;
  nonces: NoncePool;
}

/**
 * By the directory's URL: the connections to a CA, and its nonces, are shared by all its sessions. Whoever opens it has
 * a route of his own, and the last one is used, so that nobody's closing ends what another one needs.
 */
const routes = new Map<string, Route[]>();
const retryAfters = new WeakMap<object, number>();

/** Makes a CA reachable, until the returned function is called. */
export function openEndpoint(endpoint: Endpoint): () => void {
  // Made once: to parse all the roots takes longer than a connection, of which there are many.
  const secureContext = createSecureContext(
    endpoint.root ? { ca: [...rootCertificates, endpoint.root] } : {},
  );
  const agent = new Agent({
    connections: MAX_SOCKETS,
    pipelining: 1,
    // Below what servers use (Boulder's front end has 60 s), so that no request meets a connection being closed.
    keepAliveTimeout: 10_000,
    headersTimeout: endpoint.timeout ?? HEAD_TIMEOUT,
    bodyTimeout: BODY_TIMEOUT,
    maxResponseSize: MAX_BODY,
    connect: { timeout: 10_000, secureContext },
  });
  const route = { endpoint, agent, nonces: new NoncePool() };
  routes.set(endpoint.directory, [...(routes.get(endpoint.directory) ?? []), route]);
  return () => {
    const others = (routes.get(endpoint.directory) ?? []).filter((other) => other !== route);
    if (others.length > 0) routes.set(endpoint.directory, others);
    else routes.delete(endpoint.directory);
    // Nobody waits for an answer any more: what still comes is of no use.
    agent.destroy().catch(() => undefined);
  };
}

/** The moment a response asked to be left alone until, milliseconds since the epoch. */
export function retryAtOf(body: object): number | undefined {
  return retryAfters.get(body);
}

/** One request to the CA of that directory. Throws an AppError for what is no answer, or an error. */
export async function sendRequest(
  directory: string,
  url: string,
  method: string,
  data?: unknown,
): Promise<TransportResponse> {
  const route = routes.get(directory)?.at(-1);
  if (!route)
    throw new AppError("The connection to the CA is closed.", {
      code: "ca_closed",
      disposition: "transient",
    });
  const { endpoint, agent, nonces } = route;
  const isHead = method.toUpperCase() === "HEAD";
  const pooled = isHead ? nonces.take() : undefined;
  if (pooled) return { status: 200, headers: { "replay-nonce": pooled }, data: "" };
  await endpoint.pace?.(url, method.toUpperCase());
  const answered = await send(url, method.toUpperCase(), data, endpoint, agent).catch((error) => {
    endpoint.answered?.({ url, method: method.toUpperCase(), status: 0 });
    throw error;
  });
  const { status, headers } = answered;
  const detail = isProblem(answered.data) ? { detail: answered.data.detail } : {};
  endpoint.answered?.({ url, method: method.toUpperCase(), status, ...detail });
  const bad = isProblem(answered.data) && answered.data.type.endsWith(":badNonce");
  const nonce = headers["replay-nonce"];
  // The library signs its next try with the nonce of a badNonce answer, and that of a HEAD: neither may be pooled.
  if (nonce && !bad && !isHead) nonces.give(nonce);
  const retryAt = retryAfterOf(headers["retry-after"]);
  if (status >= 400 && !bad) throw refusal(url, answered, retryAt);
  if (retryAt !== undefined && typeof answered.data === "object" && answered.data !== null)
    retryAfters.set(answered.data, retryAt);
  return answered;
}

async function send(
  url: string,
  method: string,
  data: unknown,
  { userAgent }: Endpoint,
  agent: Agent,
): Promise<TransportResponse> {
  const headers: Record<string, string> = { "user-agent": userAgent };
  if (data !== undefined) headers["content-type"] = "application/jose+json";
  try {
    const answered = await request(url, {
      method: method as Dispatcher.HttpMethod,
      headers,
      dispatcher: agent,
      body: data === undefined ? null : JSON.stringify(data),
    });
    const plain = plainHeaders(answered.headers);
    return { status: answered.statusCode, headers: plain, data: parsed(await answered.body.text(), plain) };
  } catch (error) {
    throw unreachable(url, error);
  }
}

function plainHeaders(headers: Dispatcher.ResponseData["headers"]): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (typeof value === "string") plain[name] = value;
    // A header that may stand several times: a list, then (RFC 9110 §5.3).
    else if (name === "link" && Array.isArray(value)) plain[name] = value.join(", ");
  }
  return plain;
}

function parsed(body: string, headers: Record<string, string>): unknown {
  if (!/\bjson\b/.test(headers["content-type"] ?? "")) return body;
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

function refusal(
  url: string,
  { status, data, headers }: TransportResponse,
  retryAt: number | undefined,
): AppError {
  if (isProblem(data)) return refusalError(data, status, retryAt, headers.link);
  const words = typeof data === "string" ? data.replace(/\s+/g, " ").slice(0, 200) : "";
  const detail = `${new URL(url).host} answered ${status}${words ? `: ${words}` : ""}`;
  return problemError({ type: "", detail }, status, retryAt);
}

/** Seconds or an HTTP date (RFC 9110 §10.2.3) → milliseconds since the epoch. */
export function retryAfterOf(header: string | string[] | undefined, now = Date.now()): number | undefined {
  if (typeof header !== "string") return undefined;
  if (/^\d+$/.test(header.trim())) return now + Math.min(Number(header), LONGEST_WAIT) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(date, now);
}

/** Reasons that undici's errors name only for whoever reads its source. */
const REASONS: Readonly<Record<string, string>> = {
  UND_ERR_HEADERS_TIMEOUT: "no answer in time",
  UND_ERR_BODY_TIMEOUT: "the answer stopped half way",
  UND_ERR_RES_EXCEEDED_MAX_SIZE: "the answer is larger than 1 MiB",
  UND_ERR_CONNECT_TIMEOUT: "no connection within 10 s",
};

/** Errors of a connection that was never made: the CA cannot have seen the request. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

function unreachable(url: string, error: unknown): AppError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = REASONS[code] ?? (error instanceof Error ? error.message : String(error));
  return new AppError(`The CA at ${new URL(url).host} cannot be reached: ${reason}.`, {
    code: "ca_unreachable",
    unsent: NEVER_SENT.has(code),
    disposition: "transient",
    cause: error,
  });
}
