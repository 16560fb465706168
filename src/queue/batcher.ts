import { setTimeout as sleep } from "node:timers/promises";

interface Waiting<T, R> {
  item: T;
  resolve: (result: R) => void;
  reject: (error: unknown) => void;
}

export interface BatcherOptions<T, R> {
  /** One result for each item, in their order. */
  run: (items: readonly T[]) => Promise<readonly R[]>;
  /** Items in one batch at most. */
  most: number;
  /** Milliseconds for which a batch waits for more to come, again as long as more does. */
  gather: number;
  /** Milliseconds until the next batch may begin. */
  rest?: () => Promise<number>;
  /** What becomes of those that are still waiting when it is stopped. */
  stopped: R;
}

/**
 * Makes batches of what comes in one by one, as jobs do, and works on one batch at a time. Idle, gathering (what comes
 * in is kept until no more does, or the batch is full), resting (until `rest` allows the next one), running.
 */
export class Batcher<T, R> {
  readonly #options: BatcherOptions<T, R>;
  readonly #stop = new AbortController();
  #waiting: Waiting<T, R>[] = [];
  #working: Promise<void> | undefined;

  constructor(options: BatcherOptions<T, R>) {
    this.#options = options;
  }

  /** Resolves with the result of this item once its batch has been worked on. */
  async add(item: T): Promise<R> {
    if (this.#stop.signal.aborted) return this.#options.stopped;
    return await new Promise<R>((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  /** The batch in hand is worked on to its end. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#working;
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#stop.signal.aborted) await this.#oneBatch();
    for (const { resolve } of this.#waiting.splice(0)) resolve(this.#options.stopped);
    // Within the same turn as the look that found nothing, so that nothing comes in between.
    this.#working = undefined;
  }

  async #oneBatch(): Promise<void> {
    const { most, run, stopped } = this.#options;
    let batch: Waiting<T, R>[] = [];
    try {
      await this.#gathered();
      if (this.#stop.signal.aborted) return;
      batch = this.#waiting.splice(0, most);
      const results = await run(batch.map(({ item }) => item));
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] ?? stopped);
    } catch (error) {
      if (batch.length === 0) batch = this.#waiting.splice(0, most);
      for (const { reject } of batch) reject(error);
    }
  }

  async #gathered(): Promise<void> {
    const { most, gather, rest } = this.#options;
    for (let before = 0; this.#waiting.length < most && this.#waiting.length > before; ) {
      before = this.#waiting.length;
      await this.#sleep(gather);
    }
    const pause = (await rest?.()) ?? 0;
    if (pause > 0) await this.#sleep(pause);
  }

  async #sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
