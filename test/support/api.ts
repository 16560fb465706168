/** The API on a port of its own, over a house in a folder of its own, and a way to ask it. */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { startApi } from "../../src/runtime/api.ts";
import { type House, openHouse } from "../../src/runtime/house.ts";
import { removeDir, tempDir } from "./temp.ts";

export const TOKENS = { admin: "admin-token", read: "read-token", enqueue: "enqueue-token" } as const;

export interface AskOptions {
  method?: string;
  token?: string;
  headers?: Record<string, string>;
  json?: unknown;
  csv?: string | ReadableStream<Uint8Array>;
}

export interface TestApi {
  url: string;
  home: string;
  house: House;
  /** What was logged. */
  lines: string[];
  /** As admin, unless another token is given; "" is none. */
  ask(path: string, options?: AskOptions): Promise<Response>;
  stop(): Promise<void>;
}

export async function startTestApi(
  redisUrl: string,
  options: { yaml?: string; env?: Record<string, string> } = {},
): Promise<TestApi> {
  const home = tempDir("certherd-api");
  const file = join(home, "certherd.yaml");
  const entry = (name: "read" | "enqueue"): string =>
    `  - { name: ${name}, sha256: ${createHash("sha256").update(TOKENS[name]).digest("hex")}, scopes: [${name}] }`;
  writeFileSync(file, ["tokens:", entry("read"), entry("enqueue"), options.yaml ?? ""].join("\n"));
  const config = loadConfig({
    REDIS_URL: redisUrl,
    CERTHERD_HOME: home,
    CERTHERD_LISTEN: "127.0.0.1:0",
    CERTHERD_API_TOKEN: TOKENS.admin,
    CERTHERD_CONFIG: file,
    CERTHERD_CA: "letsencrypt-staging",
    CERTHERD_PREFLIGHT: "off",
    ...options.env,
  });
  const lines: string[] = [];
  const house = await openHouse(config, (line) => lines.push(line), "api");
  const api = await startApi(house);
  return {
    url: api.url,
    home,
    house,
    lines,
    ask: (path, askOptions = {}) => ask(api.url, path, askOptions),
    async stop() {
      await api.close();
      await house.close();
      removeDir(home);
    },
  };
}

async function ask(url: string, path: string, options: AskOptions): Promise<Response> {
  const { token = TOKENS.admin, json, csv, headers = {} } = options;
  const body = json === undefined ? csv : JSON.stringify(json);
  const type = json === undefined ? "text/csv" : "application/json";
  const init: RequestInit & { duplex?: "half" } = {
    method: options.method ?? (body === undefined ? "GET" : "POST"),
    headers: {
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": type }),
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
    ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
  };
  return await fetch(url + path, init);
}

export async function json<T = Record<string, unknown>>(answer: Response): Promise<T> {
  return (await answer.json()) as T;
}

export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: { field: string; value: string; reason: string }[];
}

/** The problem that an answer has to be. */
export async function problem(answer: Response, status: number, code: string): Promise<ProblemBody> {
  const body = await json<ProblemBody>(answer);
  expect({ status: answer.status, type: body.type }).toEqual({ status, type: `urn:certherd:error:${code}` });
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(body.status).toBe(status);
  expect(body.title).toBeTruthy();
  expect(body.detail).toBeTruthy();
  return body;
}

export function domains(count: number, prefix = "host"): string[] {
  return Array.from(
    { length: count },
    (_, index) => `${prefix}-${String(index).padStart(5, "0")}.example.com`,
  );
}

export const csvOf = (names: readonly string[]): string => names.map((name) => `${name}\n`).join("");
