/**
 * How fast a page of certificates comes with 100,000 of them in the index, to 50 clients that each ask once or twice a
 * second over a connection of their own; in the same run a bare Fastify route in a process like that, and Redis's PING,
 * so that the machine's speed can be told from ours. `npm run bench -- --api [--certificates N] [--seconds N]`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { CertificateStore } from "../src/store/certificates.ts";
import { certificateMaker } from "../test/support/many-certificates.ts";
import { startRedis } from "../test/support/redis.ts";
import { freePort, waitUntil } from "../test/support/temp.ts";
import { cleanEnvironment, PROJECT, stopProcess } from "./stage.ts";
import { timesToldOf } from "./times.ts";

const CLIENTS = 50;
/** Of them, those that search at the same time. */
const SEARCHING = 5;
const TOKEN = "bench";
const SLICE = 1_000;

export interface ApiBench {
  certificates: number;
  seconds: number;
}

interface Times {
  what: string;
  ms: number[];
}

export async function benchApi({ certificates, seconds }: ApiBench): Promise<void> {
  const redis = await startRedis();
  const [port, barePort] = [await freePort(), await freePort()];
  const home = join(PROJECT, ".cache/bench-api");
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const api = spawn(process.execPath, [join(PROJECT, "dist/workers/api.js")], {
    stdio: ["ignore", "ignore", "inherit"],
    env: cleanEnvironment({
      REDIS_URL: redis.url,
      CERTHERD_HOME: home,
      CERTHERD_LISTEN: `127.0.0.1:${port}`,
      CERTHERD_API_TOKEN: TOKEN,
      CERTHERD_CA: "letsencrypt",
      CERTHERD_PREFLIGHT: "off",
    }),
  });
  const bare = spawn(
    process.execPath,
    [fileURLToPath(new URL("bench-bare.js", import.meta.url)), `${barePort}`],
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  try {
    await fill(new CertificateStore(redis.client()), certificates);
    const [ours, theirs] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${barePort}/`];
    await waitUntil(() => answers(`${ours}/healthz`), { timeoutMs: 30_000, what: "the API to start" });
    await waitUntil(() => answers(theirs), { timeoutMs: 30_000, what: "the bare route to start" });
    const pages = await next(`${ours}/v1/certificates?limit=100`, 20);
    const random = <T>(all: readonly T[]): T => all[Math.floor(Math.random() * all.length)] as T;
    const name = (): string => `host${Math.floor(Math.random() * certificates)}`;
    const urls: [string, () => string, number?][] = [
      ["a page by name", () => random(pages)],
      ["a page by end", () => `${ours}/v1/certificates?sort=expires&limit=100`],
      ["a search for a name", () => `${ours}/v1/certificates?q=${name()}.&limit=100`, SEARCHING],
      ["the overview", () => `${ours}/v1/overview`],
      ["a bare Fastify route", () => theirs],
    ];
    const times: Times[] = [];
    for (const [what, url, count = CLIENTS] of urls)
      times.push({ what: `${what}, ${count} clients`, ms: await clients(url, count, seconds) });
    const client = redis.client();
    const pings: number[] = [];
    for (let i = 0; i < 500; i++) {
      const at = performance.now();
      await client.ping();
      pings.push(performance.now() - at);
    }
    report([...times, { what: "Redis PING, one after the other", ms: pings }]);
  } finally {
    await Promise.all([stopProcess(api), stopProcess(bare)]);
    await redis.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

/** So many certificates in the index, as they are a while after they were issued; there is nothing of them on the disk. */
export async function fill(store: CertificateStore, count: number): Promise<void> {
  const make = await certificateMaker();
  for (let from = 0; from < count; from += SLICE) {
    const size = Math.min(SLICE, count - from);
    await store.restore(
      Array.from({ length: size }, (_, n) => {
        const { record } = make(`host${from + n}.customer${(from + n) % 997}.example`, from + n);
        return record;
      }),
    );
  }
}

/** The addresses of the first pages. */
async function next(first: string, count: number): Promise<string[]> {
  const urls = [first];
  const agent = new Agent();
  while (urls.length < count) {
    const { next: cursor } = JSON.parse(await ask(urls.at(-1) ?? first, agent)) as { next?: string };
    if (cursor === undefined) break;
    urls.push(`${first}&cursor=${cursor}`);
  }
  return urls;
}

/** Milliseconds of each answer. Each client has a connection, and pauses half a second to a second between two requests. */
async function clients(url: () => string, count: number, seconds: number): Promise<number[]> {
  const times: number[] = [];
  const until = performance.now() + seconds * 1_000;
  const client = async (): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await sleep(Math.random() * 1_000);
    while (performance.now() < until) {
      const at = performance.now();
      await ask(url(), agent);
      times.push(performance.now() - at);
      await sleep(500 + Math.random() * 500);
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: count }, client));
  return times;
}

async function ask(url: string, agent: Agent): Promise<string> {
  const request = get(url, { agent, headers: { authorization: `Bearer ${TOKEN}` } });
  const [response] = await once(request, "response");
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += part;
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}: ${text}`);
  return text;
}

async function answers(url: string): Promise<boolean> {
  return await ask(url, new Agent()).then(
    () => true,
    () => false,
  );
}

function report(all: readonly Times[]): void {
  for (const { what, ms } of all)
    console.log(
      `${what.padEnd(36)} ${String(ms.length).padStart(5)} answers, milliseconds: ${timesToldOf(ms)}`,
    );
}
