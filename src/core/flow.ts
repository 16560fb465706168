import type { Clock } from "./clock.ts";

/** Lets a number of pieces of work run at once; the others wait in order. */
export class Gate {
  readonly #most: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    // Whoever leaves hands over its place, so that nobody slips in between.
    if (this.#running < this.#most) this.#running++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

export interface CacheOptions {
  /** Milliseconds that an answer is kept. */
  lifetime: number;
  /** Milliseconds that a failure is kept: long enough that thousands of names do not each wait for a dead server. */
  failureLifetime: number;
  /** Entries; the oldest go first. */
  most: number;
}

/** Answers by key. Who asks for what is being fetched already waits for that. */
export class Cache<T> {
  readonly #clock: Clock;
  readonly #options: CacheOptions;
  readonly #entries = new Map<string, { until: number; value: Promise<T> }>();

  constructor(clock: Clock, options: CacheOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  get(key: string, fetch: (key: string) => Promise<T>): Promise<T> {
    const found = this.#entries.get(key);
    if (found !== undefined && this.#clock.now() < found.until) return found.value;
    const entry = { until: Number.POSITIVE_INFINITY, value: fetch(key) };
    const keepFor = (lifetime: number) => () => {
      entry.until = this.#clock.now() + lifetime;
    };
    entry.value.then(keepFor(this.#options.lifetime), keepFor(this.#options.failureLifetime));
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#options.most) break;
      this.#entries.delete(oldest);
    }
    return entry.value;
  }

  clear(): void {
    this.#entries.clear();
  }
}
