/** Milliseconds after which what has failed is asked again. */
const AFTER_FAILURE = 5_000;

export interface LoopOptions<T> {
  load: (signal: AbortSignal) => Promise<T>;
  /** Milliseconds from an answer to the next question; none where undefined. */
  every: () => number | undefined;
  onAnswer: (answer: T) => void;
  /** Returns whether it may be better soon. */
  onFailure: (error: unknown) => boolean;
  /** Nobody looks: what is due waits. */
  isHidden: () => boolean;
}

/**
 * Asks the same again and again: one question at a time. Whoever wants a newer answer while one is on its way gets that
 * one, and then another: it is never given up for a newer one, which might go the same way.
 */
export class Loop<T> {
  readonly #options: LoopOptions<T>;
  readonly #leaving = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isBusy = false;
  #isStale = false;

  constructor(options: LoopOptions<T>) {
    this.#options = options;
  }

  /** Now, or after the answer that is on its way. */
  async ask(): Promise<void> {
    this.#isStale = true;
    if (this.#isBusy || this.#options.isHidden()) return;
    clearTimeout(this.#timer);
    this.#isBusy = true;
    while (this.#isStale && !this.#leaving.signal.aborted) {
      this.#isStale = false;
      this.#askAgain(await this.#once());
    }
    this.#isBusy = false;
  }

  /** Somebody looks again. */
  async wake(): Promise<void> {
    if (this.#isStale) await this.ask();
  }

  end(): void {
    this.#leaving.abort();
    clearTimeout(this.#timer);
  }

  async #once(): Promise<number | undefined> {
    const { load, every, onAnswer, onFailure } = this.#options;
    const { signal } = this.#leaving;
    try {
      const answer = await load(signal);
      if (!signal.aborted) onAnswer(answer);
    } catch (error) {
      if (!signal.aborted && onFailure(error)) return AFTER_FAILURE;
    }
    return every();
  }

  #askAgain(after: number | undefined): void {
    if (after === undefined || this.#leaving.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.ask(), after);
  }
}
