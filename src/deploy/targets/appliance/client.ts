import { readFile } from "node:fs/promises";
import { TLSSocket } from "node:tls";
import { Agent, buildConnector, type FormData, request } from "undici";
import type { LoadbalancerOrgTarget } from "../../../config/terminations.ts";
import { AppError } from "../../../core/errors.ts";

/** The list of 100,000 certificates fits. */
const MAX_ANSWER = 64 * 1024 * 1024;

export interface Answer {
  status: number;
  text: string;
}

/** HTTPS to one appliance, whose own certificate is known by its fingerprint alone. */
export class ApplianceClient {
  readonly #config: LoadbalancerOrgTarget;
  readonly #agent: Agent;

  constructor(config: LoadbalancerOrgTarget) {
    this.#config = config;
    this.#agent = new Agent({
      // What it is told, it writes into one file: nothing is told it at the same time.
      connections: 1,
      pipelining: 1,
      // Web servers hold a silent connection for 5 s; a request must not meet one that is being closed.
      keepAliveTimeout: 1_000,
      keepAliveMaxTimeout: 1_000,
      // Each request has one limit for all of it.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: MAX_ANSWER,
      connect: pinned(config),
    });
  }

  /** The appliance as it is called in errors. */
  get host(): string {
    return new URL(this.#config.url).host;
  }

  /**
   * One POST with the credentials, redirections not followed. Throws `appliance_not_pinned` or `node_misconfigured`
   * (disposition `node`), and `node_unreachable` (disposition `unavailable`) for no answer in time and for HTTP 5xx.
   */
  async post(path: string, body: string | FormData, headers: Record<string, string> = {}): Promise<Answer> {
    const { url, user, passwordFile, timeout } = this.#config;
    const password = await secretIn(passwordFile, "passwordFile");
    const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
    const answer = await this.#exchange(new URL(path, url), body, { ...headers, authorization }).catch(
      (error: unknown) => {
        if (error instanceof AppError) throw error;
        const late = error instanceof Error && error.name === "TimeoutError";
        throw this.unreachable(late ? `gave no answer within ${timeout / 1_000} s` : reasonOf(error), error);
      },
    );
    this.#check(answer, path);
    return answer;
  }

  /** The same to API v2, which wants its key beside. */
  async postApi(body: string): Promise<Answer> {
    const key = await secretIn(this.#config.apiKeyFile, "apiKeyFile");
    return await this.post("/api/v2/", body, {
      "content-type": "application/json",
      x_lb_apikey: Buffer.from(key).toString("base64"),
    });
  }

  unreachable(why: string, cause?: unknown): AppError {
    return new AppError(
      `The appliance at ${this.host} ${why}. Its certificates wait, and are brought to it as soon as it answers.`,
      { code: "node_unreachable", disposition: "unavailable", cause },
    );
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #exchange(url: URL, body: string | FormData, headers: Record<string, string>): Promise<Answer> {
    const signal = AbortSignal.timeout(this.#config.timeout);
    const response = await request(url, { method: "POST", headers, body, signal, dispatcher: this.#agent });
    return { status: response.statusCode, text: await response.body.text() };
  }

  #check({ status }: Answer, path: string): void {
    if (status >= 500) throw this.unreachable(`answers with HTTP ${status} on ${path}`);
    if (status === 401 || status === 403)
      throw misconfigured(
        `The appliance at ${this.host} refuses user, password or API key (HTTP ${status} on ${path}). Correct user, passwordFile and apiKeyFile, and enable its API.`,
      );
    if (status >= 300)
      throw misconfigured(
        `The appliance at ${this.host} answers with HTTP ${status} on ${path}. Correct its url, and look whether its API and its web interface are enabled.`,
      );
  }
}

export function misconfigured(message: string, cause?: unknown): AppError {
  return new AppError(message, { code: "node_misconfigured", disposition: "node", cause });
}

/** Read each time, so that a new one needs no restart. */
async function secretIn(path: string, setting: string): Promise<string> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw misconfigured(`${setting} cannot be read: ${reason}.`, error);
  });
  if (text.trim() === "") throw misconfigured(`${setting} (${path}) is empty.`);
  return text.trim();
}

/**
 * A connector that lets nothing of ours be sent before the certificate is known to be the right one. The handshake has
 * proved by then that the other side has its key, so no CA and no name is needed, and a self-signed one will do.
 */
function pinned(config: LoadbalancerOrgTarget): buildConnector.connector {
  // A resumed handshake would bring no certificate.
  const connect = buildConnector({
    rejectUnauthorized: false,
    timeout: config.timeout,
    maxCachedSessions: 0,
  });
  return (options, callback) => {
    connect(options, (...[error, socket]) => {
      if (error) return callback(error, null);
      const found = fingerprintOf(socket);
      if (found === config.fingerprint) return callback(null, socket);
      socket.destroy();
      callback(notPinned(config, found), null);
    });
  };
}

function fingerprintOf(socket: unknown): string {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  return (certificate?.fingerprint256 ?? "").replaceAll(":", "");
}

function notPinned({ url, fingerprint }: LoadbalancerOrgTarget, found: string): AppError {
  const shown = found === "" ? "none" : colons(found);
  return new AppError(
    `${new URL(url).host} shows another certificate than the appliance's: its SHA-256 fingerprint is ${shown}, and the configuration has ${colons(fingerprint)}. Nothing was sent to it. If the appliance has a new certificate, put its fingerprint into the configuration; if not, somebody stands in between.`,
    { code: "appliance_not_pinned", disposition: "node" },
  );
}

function colons(hex: string): string {
  return hex.match(/../g)?.join(":") ?? hex;
}

/** Reasons that undici's errors name only for whoever reads its source. */
const REASONS: Readonly<Record<string, string>> = {
  UND_ERR_SOCKET: "closed the connection",
  ECONNRESET: "closed the connection",
  UND_ERR_CONNECT_TIMEOUT: "takes no connection in time",
  UND_ERR_RES_EXCEEDED_MAX_SIZE: "gave an answer that is too large",
  HPE_INVALID_CONSTANT: "does not speak HTTP",
};

function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return REASONS[code] ?? `cannot be reached (${error instanceof Error ? error.message : String(error)})`;
}
