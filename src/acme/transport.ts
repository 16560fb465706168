import { createSecureContext, rootCertificates } from "node:tls";
import acme from "acme-client";
import { AxiosHeaders, type AxiosResponse, type InternalAxiosRequestConfig } from "axios";
import { Agent, type Dispatcher, request } from "undici";
import { AppError } from "../core/errors.ts";
import { NoncePool } from "./nonces.ts";
import { isProblem, problemError } from "./problems.ts";

/**
 * How acme-client reaches a CA. Its own way (axios, a HEAD for every nonce, errors reduced to a message, 429 slept
 * through with the request in hand) is not made for bulk; this adapter answers its requests instead:
 * - the HEAD for a nonce from a pool fed by earlier responses;
 * - an error status as a typed AppError, `badNonce` apart, which the library repeats itself;
 * - Retry-After kept beside the body, for whoever polls.
 */

const REQUEST_TIMEOUT = 30_000;
const MAX_BODY = 1024 * 1024;
const MAX_SOCKETS = 64;

export interface Endpoint {
  /** The directory's URL; requests are told apart by its origin, as axios knows only one adapter. */
  directory: string;
  root?: string;
  /** Waits until a request to this URL may go over the wire. */
  pace?: (url: string, method: string) => Promise<void>;
  userAgent: string;
}

interface Route {
  endpoint: Endpoint;
  agent: Agent;
  nonces: NoncePool;
}

const routes = new Map<string, Route>();
const retryAfters = new WeakMap<object, number>();

/** Makes a CA reachable, until the returned function is called. */
export function openEndpoint(endpoint: Endpoint): () => void {
  installAdapter();
  const { origin } = new URL(endpoint.directory);
  // Made once: to parse all the roots takes longer than a connection, of which there are many.
  const secureContext = createSecureContext(
    endpoint.root ? { ca: [...rootCertificates, endpoint.root] } : {},
  );
  const agent = new Agent({
    connections: MAX_SOCKETS,
    pipelining: 1,
    // Below what servers use (Boulder's front end has 60 s), so that no request meets a connection being closed.
    keepAliveTimeout: 10_000,
    connect: { timeout: 10_000, secureContext },
  });
  const route = { endpoint, agent, nonces: new NoncePool() };
  routes.set(origin, route);
  return () => {
    if (routes.get(origin) === route) routes.delete(origin);
    // Nobody waits for an answer any more: what still comes is of no use.
    agent.destroy().catch(() => undefined);
  };
}

/** The moment a response asked to be left alone until, milliseconds since the epoch. */
export function retryAtOf(body: object): number | undefined {
  return retryAfters.get(body);
}

function installAdapter(): void {
  acme.axios.defaults.adapter = answer;
  // Retries belong to the job, where they are planned; inside the process they would sleep on a worker's slot.
  const defaults = acme.axios.defaults as typeof acme.axios.defaults & {
    acmeSettings?: { retryMaxAttempts: number };
  };
  if (defaults.acmeSettings) defaults.acmeSettings.retryMaxAttempts = 0;
}

async function answer(config: InternalAxiosRequestConfig): Promise<AxiosResponse> {
  const url = new URL(config.url ?? "");
  const method = (config.method ?? "get").toUpperCase();
  const route = routes.get(url.origin);
  // A CA may answer with URLs of another host; then its directory's connection settings count.
  const { endpoint, agent, nonces } = route ?? onlyRoute(url);
  if (method === "HEAD") {
    const nonce = nonces.take();
    if (nonce) return response(config, 200, { "replay-nonce": nonce }, "");
  }
  await endpoint.pace?.(url.href, method);
  const answered = await send(
    url,
    method,
    typeof config.data === "string" ? config.data : undefined,
    endpoint,
    agent,
  );
  const result = read(config, answered);
  const bad = isProblem(result.data) && result.data.type.endsWith(":badNonce");
  const nonce = answered.headers["replay-nonce"];
  // The library signs its next try with the nonce of a badNonce answer, and that of a HEAD: neither may be pooled.
  if (typeof nonce === "string" && !bad && method !== "HEAD") nonces.give(nonce);
  if (result.status >= 400 && !bad) throw refusal(url, answered, result.data);
  const retryAt = retryAfterOf(answered.headers["retry-after"]);
  if (retryAt !== undefined && typeof result.data === "object" && result.data !== null)
    retryAfters.set(result.data, retryAt);
  return result;
}

function onlyRoute(url: URL): Route {
  const [first, second] = [...routes.values()];
  if (first && !second) return first;
  throw new AppError(`The CA sent the URL ${url.href}, of a host that is none of its directory's.`, {
    code: "foreign_url",
    disposition: "attention",
  });
}

interface Answered {
  status: number;
  headers: Dispatcher.ResponseData["headers"];
  body: string;
}

async function send(
  url: URL,
  method: string,
  body: string | undefined,
  { userAgent }: Endpoint,
  agent: Agent,
): Promise<Answered> {
  const headers: Record<string, string> = { "user-agent": userAgent };
  if (body !== undefined) headers["content-type"] = "application/jose+json";
  try {
    const answered = await request(url, {
      method: method as Dispatcher.HttpMethod,
      headers,
      dispatcher: agent,
      body: body ?? null,
      // One limit for the whole exchange: a time-out of the socket starts anew with every byte that drips in.
      signal: AbortSignal.timeout(REQUEST_TIMEOUT),
    });
    return { status: answered.statusCode, headers: answered.headers, body: await text(answered.body) };
  } catch (error) {
    throw unreachable(url, error);
  }
}

async function text(body: Dispatcher.ResponseData["body"]): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Error("the answer is larger than 1 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function read(config: InternalAxiosRequestConfig, { status, headers, body }: Answered): AxiosResponse {
  const type = String(headers["content-type"] ?? "");
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) if (typeof value === "string") plain[name] = value;
  if (!/\bjson\b/.test(type)) return response(config, status, plain, body);
  try {
    return response(config, status, plain, JSON.parse(body));
  } catch {
    return response(config, status, plain, body);
  }
}

function response(
  config: InternalAxiosRequestConfig,
  status: number,
  headers: Record<string, string>,
  data: unknown,
): AxiosResponse {
  return { data, status, statusText: "", headers: new AxiosHeaders(headers), config };
}

function refusal(url: URL, { status, headers, body }: Answered, data: unknown): AppError {
  const retryAt = retryAfterOf(headers["retry-after"]);
  if (isProblem(data)) return problemError(data, status, retryAt);
  const words = body.replace(/\s+/g, " ").slice(0, 200);
  return problemError(
    { type: "", detail: `${url.host} answered ${status}${words ? `: ${words}` : ""}` },
    status,
    retryAt,
  );
}

/** Seconds or an HTTP date (RFC 9110 §10.2.3) → milliseconds since the epoch. */
export function retryAfterOf(header: string | string[] | undefined, now = Date.now()): number | undefined {
  if (typeof header !== "string") return undefined;
  if (/^\d+$/.test(header.trim())) return now + Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(date, now);
}

function unreachable(url: URL, error: unknown): AppError {
  const late = error instanceof Error && error.name === "TimeoutError";
  const reason = late ? "no answer within 30 s" : error instanceof Error ? error.message : String(error);
  return new AppError(`The CA at ${url.host} cannot be reached: ${reason}.`, {
    code: "ca_unreachable",
    disposition: "transient",
    cause: error,
  });
}
