import type { Dirent } from "node:fs";
import { opendir } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { chunked } from "../core/chunked.ts";
import type { Clock } from "../core/clock.ts";
import { isCode } from "../store/atomic.ts";
import { examine, type Seen } from "./folder.ts";

/** Folders looked at between two round trips to Redis. */
const CHUNK = 500;
/** Threads that wait for the disk: what is not in its cache takes ten times as long as all that is done with it. */
const THREADS = 8;

/** One entry of `certificates/`: a folder that was looked into, one that could not be, or (neither) no folder. */
export interface Look {
  name: string;
  seen?: Seen;
  fault?: { code?: string; message: string };
}

export interface Order {
  root: string;
  names: readonly string[];
  /** Milliseconds since the epoch. */
  now: number;
}

/** Looks into each folder, a chunk at a time and one chunk ahead. A few of them are looked at without threads. */
export async function* looksAt(root: string, clock: Clock): AsyncGenerator<Look[]> {
  let threads: Threads | undefined;
  let ahead: Promise<Look[]> | undefined;
  try {
    for await (const entries of chunked(entriesOf(root), CHUNK)) {
      if (entries.length === CHUNK) threads ??= Threads.open();
      const next = lookAt(root, entries, clock.now(), threads);
      // It is awaited a chunk later.
      next.catch(() => undefined);
      if (ahead) yield await ahead;
      ahead = next;
    }
    if (ahead) yield await ahead;
  } finally {
    await threads?.close();
  }
}

async function* entriesOf(root: string): AsyncGenerator<Dirent> {
  try {
    yield* await opendir(root);
  } catch (error) {
    if (!isCode(error, "ENOENT")) throw error;
  }
}

async function lookAt(
  root: string,
  entries: readonly Dirent[],
  now: number,
  threads: Threads | undefined,
): Promise<Look[]> {
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const others = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => ({ name }));
  const order = { root, names, now };
  return [...others, ...(threads ? await threads.look(order) : lookNow(order))];
}

/** In this thread. */
export function lookNow({ root, names, now }: Order): Look[] {
  return names.map((name) => {
    try {
      return { name, seen: examine(root, name, now) };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return { name, fault: { message, ...(code === undefined ? {} : { code }) } };
    }
  });
}

/** The same in several threads, each with a part of it. */
class Threads {
  readonly #threads: Thread[];

  private constructor(threads: Thread[]) {
    this.#threads = threads;
  }

  /** Undefined where this runs from its TypeScript, which a thread of Node 20 does not read. */
  static open(): Threads | undefined {
    if (import.meta.url.endsWith(".ts")) return undefined;
    const program = new URL("./look-thread.js", import.meta.url);
    return new Threads(Array.from({ length: THREADS }, () => new Thread(program)));
  }

  async look({ names, ...rest }: Order): Promise<Look[]> {
    const part = Math.ceil(names.length / THREADS);
    const looks = this.#threads.map((thread, index) =>
      thread.ask({ ...rest, names: names.slice(index * part, (index + 1) * part) }),
    );
    return (await Promise.all(looks)).flat();
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

class Thread {
  readonly #worker: Worker;
  /** Orders that are not answered yet; the answers come in their order. */
  readonly #open: { resolve: (looks: Look[]) => void; reject: (error: Error) => void }[] = [];

  constructor(program: URL) {
    this.#worker = new Worker(program);
    this.#worker.on("message", (looks: Look[]) => this.#open.shift()?.resolve(looks));
    this.#worker.on("error", (error: Error) => {
      for (const { reject } of this.#open.splice(0)) reject(error);
    });
  }

  async ask(order: Order): Promise<Look[]> {
    return await new Promise((resolve, reject) => {
      this.#open.push({ resolve, reject });
      this.#worker.postMessage(order);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
