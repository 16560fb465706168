/**
 * People who look on while certificates are issued: `bench-readers.ts URL TOKEN CLIENTS`, until its standard input ends.
 * Then it prints how long the answers took since it was written to. A process of its own, as its work must not delay what
 * it measures.
 */
import { setMaxListeners } from "node:events";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, type Dispatcher } from "undici";

export interface ReadersReport {
  /** Milliseconds that each answer took, by what was asked for. */
  took: Record<string, number[]>;
  /** Answers with another status than 200. */
  refused: number;
  /** Bytes of the streams of events. */
  streamed: number;
}

const EVERY = 1_000;

const [url = "", token = "", clients = "50"] = process.argv.slice(2);
const headers = { authorization: `Bearer ${token}` };
const ending = new AbortController();
setMaxListeners(Number(clients), ending.signal);
const took = new Map<string, number[]>();
let refused = 0;
let streamed = 0;

process.stdin.on("data", begin).once("end", () => ending.abort());
const hasOverview = (await ask(new Agent(), "/v1/overview")).status === 200;
await Promise.all(Array.from({ length: Number(clients) }, (_, index) => client(index)));
const report: ReadersReport = { took: Object.fromEntries(took), refused, streamed };
// It listens to events until it ends.
process.stdout.write(JSON.stringify(report), () => process.exit(0));

/** What was before was to warm up. */
function begin(): void {
  took.clear();
  refused = 0;
  streamed = 0;
}

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
