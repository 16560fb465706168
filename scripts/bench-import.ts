/** How much memory the API takes for a CSV, and how long it leaves others waiting meanwhile, by the number of rows. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { untilReady } from "../test/support/http.ts";
import { freePort } from "../test/support/temp.ts";
import { PROJECT, startWorker, stopProcess } from "./stage.ts";

const TOKEN = "bench";
/** Milliseconds between two looks at whether the API still answers others. */
const LOOK = 20;
/** Megabytes of JavaScript's heap for an import: what the collector would leave lying about is not what it takes. */
const HEAP = 96;

interface Row {
  what: string;
  rows: number;
  seconds: number;
  before: number;
  peak: number;
  slowest: number;
}

/** A process of its own for each, as what one has taken it keeps. */
export async function benchImport(sizes: readonly number[]): Promise<void> {
  const found: Row[] = [];
  for (const dryRun of [false, true]) for (const rows of sizes) found.push(await measured(rows, dryRun));
  console.log("\nThe API's process, in MB, and the longest that another request waited, in ms:");
  console.table(found);
}

async function measured(rows: number, dryRun: boolean): Promise<Row> {
  const home = join(PROJECT, ".cache/bench-import");
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const listen = `127.0.0.1:${await freePort()}`;
  const env = {
    CERTHERD_HOME: home,
    CERTHERD_LISTEN: listen,
    CERTHERD_API_TOKEN: TOKEN,
    CERTHERD_CA: "letsencrypt",
    ...(dryRun ? {} : { NODE_OPTIONS: `--max-old-space-size=${HEAP}` }),
  };
  const api = startWorker("api", env, join(home, "api.log"));
  try {
    const url = `http://${listen}`;
    await untilReady(url);
    const pid = api.pid ?? 0;
    // Whatever is loaded with the first request counts as before.
    await send(url, "warm.example.com\n", true);
    // Forgets the peak so far: proc(5), clear_refs.
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
    const before = megabytes(pid, "VmRSS");
    const watch = watched(url);
    const startedAt = Date.now();
    await send(url, csv(rows), dryRun);
    const seconds = Math.round((Date.now() - startedAt) / 100) / 10;
    const slowest = await watch();
    const what = dryRun ? "dry run" : "import";
    return { what, rows, seconds, before, peak: megabytes(pid, "VmHWM"), slowest };
  } finally {
    await stopProcess(api);
  }
}

function csv(rows: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= rows) return controller.close();
      let piece = "";
      for (const end = Math.min(rows, at + 500); at < end; at++)
        piece += `host${at}.customer${at % 997}.example,443,8888,certs@lb.example,ops@customer${at % 997}.example,mail.lb.example\n`;
      controller.enqueue(new TextEncoder().encode(piece));
    },
  });
}

async function send(url: string, body: string | ReadableStream<Uint8Array>, dryRun: boolean): Promise<void> {
  const init: RequestInit & { duplex: "half" } = {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "text/csv" },
    body,
    duplex: "half",
  };
  const answer = await fetch(`${url}/v1/imports?dryRun=${dryRun}`, init);
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  await answer.body?.pipeTo(new WritableStream());
}

/** Asks for what costs nothing until told to end; returns the longest answer in milliseconds. */
function watched(url: string): () => Promise<number> {
  let goesOn = true;
  let slowest = 0;
  const work = (async () => {
    while (goesOn) {
      const startedAt = performance.now();
      await fetch(`${url}/healthz`).then((answer) => answer.arrayBuffer());
      slowest = Math.max(slowest, performance.now() - startedAt);
      await sleep(LOOK);
    }
  })();
  return async () => {
    goesOn = false;
    await work;
    return Math.round(slowest);
  };
}

function megabytes(pid: number, field: "VmRSS" | "VmHWM"): number {
  const value = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(value) / 1_024);
}
