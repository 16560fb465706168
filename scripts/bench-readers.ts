/**
 * People who look on while certificates are issued: `bench-readers.ts URL TOKEN CLIENTS`, until its standard input ends.
 * Then it prints how long the answers took. A process of its own, as its work must not delay what it measures.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, type Dispatcher } from "undici";

export interface Read {
  path: string;
  count: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  most: number;
}

export interface ReadersReport {
  reads: Read[];
  /** Answers with another status than 200. */
  refused: number;
  /** Bytes of the streams of events. */
  streamed: number;
}

const EVERY = 1_000;

const [url = "", token = "", clients = "50"] = process.argv.slice(2);
const headers = { authorization: `Bearer ${token}` };
const ending = new AbortController();
const took = new Map<string, number[]>();
let refused = 0;
let streamed = 0;

process.stdin.resume().once("end", () => ending.abort());
const hasOverview = (await ask(new Agent(), "/v1/overview")).status === 200;
await Promise.all(Array.from({ length: Number(clients) }, (_, index) => client(index)));
process.stdout.write(JSON.stringify(report()));
process.exit(0);

/** One person with a browser: a connection kept alive, and for every other one the stream of events beside it. */
async function client(index: number): Promise<void> {
  const agent = new Agent({ connections: 1, pipelining: 1 });
  if (index % 2 === 0) void listen();
  // Not all in the same moment.
  await sleep((EVERY * index) / Number(clients));
  while (!ending.signal.aborted) {
    const beganAt = performance.now();
    const page = await timed(agent, "/v1/certificates?limit=50", "page of certificates");
    if (hasOverview) await timed(agent, "/v1/overview", "overview");
    const names = page?.certificates?.map(({ name }) => name) ?? [];
    const name = names[Math.floor(Math.random() * names.length)];
    if (name !== undefined) await timed(agent, `/v1/certificates/${name}`, "one certificate");
    await sleep(Math.max(0, EVERY - (performance.now() - beganAt)));
  }
}

interface Page {
  certificates?: { name: string }[];
}

async function timed(agent: Agent, path: string, what: string): Promise<Page | undefined> {
  const beganAt = performance.now();
  const { status, body } = await ask(agent, path);
  const times = took.get(what) ?? [];
  times.push(performance.now() - beganAt);
  took.set(what, times);
  if (status === 200) return JSON.parse(body) as Page;
  refused++;
  return undefined;
}

async function ask(agent: Agent, path: string): Promise<{ status: number; body: string }> {
  const answer = await agent.request({ origin: url, path, method: "GET", headers });
  return { status: answer.statusCode, body: await answer.body.text() };
}

async function listen(): Promise<void> {
  const request: Dispatcher.RequestOptions = { origin: url, path: "/v1/events", method: "GET", headers };
  try {
    const { body } = await new Agent({ bodyTimeout: 0 }).request({ ...request, signal: ending.signal });
    for await (const chunk of body) streamed += (chunk as Buffer).length;
  } catch {
    // It ends with this process.
  }
}

function report(): ReadersReport {
  const reads = [...took].map(([path, all]) => {
    const sorted = all.toSorted((a, b) => a - b);
    const at = (part: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    return { path, count: all.length, p50: at(0.5), p99: at(0.99), most: sorted.at(-1) ?? 0 };
  });
  return { reads, refused, streamed };
}
