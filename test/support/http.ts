/** One small HTTP(S) request at a time, with a root of our own where the server is one of ours. */
import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { waitUntil } from "./temp.ts";

export interface HttpAnswer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  body: string;
}

export interface HttpOptions {
  /** PEM of the root to trust for https. */
  ca?: string;
  method?: string;
  headers?: Record<string, string>;
  /** Sent as JSON, by POST unless a method is given. */
  json?: unknown;
}

export async function httpRequest(url: string, options: HttpOptions = {}): Promise<HttpAnswer> {
  const { ca, json } = options;
  const method = options.method ?? (json === undefined ? "GET" : "POST");
  // Pebble 2.10 refuses requests without a User-Agent.
  const headers = { "user-agent": "certherd-test", ...options.headers };
  const send = url.startsWith("https:") ? tlsRequest : plainRequest;
  return await new Promise<HttpAnswer>((resolve, reject) => {
    // No pool, so no idle connection is left that could keep a test process alive.
    const request = send(url, { method, headers, ca, agent: false, timeout: 10_000 }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    request.on("timeout", () => request.destroy(new Error(`no answer from ${url}`)));
    request.on("error", reject);
    request.end(json === undefined ? undefined : JSON.stringify(json));
  });
}

/** The body of a 200; anything else is an error. */
export async function httpText(url: string, options: HttpOptions = {}): Promise<string> {
  const answer = await httpRequest(url, options);
  if (answer.status !== 200)
    throw new Error(`${url} answered ${answer.status}: ${answer.body.slice(0, 200)}`);
  return answer.body;
}

/** Waits until an API answers that it can work. */
export async function untilReady(url: string): Promise<void> {
  const isReady = async (): Promise<boolean> =>
    (await fetch(`${url}/readyz`).catch(() => undefined))?.ok === true;
  await waitUntil(isReady, { timeoutMs: 30_000, what: "the API" });
}
