import type { Producer } from "../queue/producer.ts";
import type { ImportStore } from "../store/imports.ts";
import type { Box, MailBoxes } from "../store/mailboxes.ts";
import { isImportBox } from "./groups.ts";
import type { Notifier } from "./notifier.ts";

/** Imports looked at when starting; an older one has been told by an earlier start. */
const IMPORTS = 200;

export interface LooksOptions {
  boxes: MailBoxes;
  producer: Producer;
  /** Milliseconds until the next mail of a box. */
  delayOf: (box: string) => number;
  /** Milliseconds. */
  every: number;
}

/**
 * Looks once more into boxes whose mail is done. What is put into a box in the moment in which its job ends queues
 * no other one, as the job's id is still taken.
 */
export class Looks {
  readonly #options: LooksOptions;
  readonly #timer: NodeJS.Timeout;
  #due: Box[] = [];
  #fresh: Box[] = [];
  #turn: Promise<void> = Promise.resolve();

  constructor(options: LooksOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), options.every);
  }

  /** To be looked into after one to two times `every`. */
  after(box: Box): void {
    this.#fresh.push(box);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#tick();
    this.#tick();
    await this.#turn;
  }

  #tick(): void {
    const due = this.#due;
    this.#due = this.#fresh;
    this.#fresh = [];
    // A box that could not be looked into is found by the next start.
    if (due.length > 0) this.#turn = this.#turn.then(() => this.#look(due)).catch(() => undefined);
  }

  async #look(due: readonly Box[]): Promise<void> {
    const { boxes, producer, delayOf } = this.#options;
    for (const { box, group } of due)
      if ((await boxes.size(box, group)) > 0) await producer.mail({ box, group }, delayOf(box));
  }
}

export interface HealOptions extends Omit<LooksOptions, "every"> {
  imports: ImportStore;
  notifier: Notifier;
  signal: AbortSignal;
}

/**
 * Queues the mails that a process which died has left unqueued: the digests of imports that had just ended, and
 * whatever else stands in a box. A mail that is queued already stays as it is.
 */
export async function heal(options: HealOptions): Promise<void> {
  const { boxes, producer, imports, notifier, delayOf, signal } = options;
  for (const id of await imports.latest(IMPORTS)) {
    if (signal.aborted) return;
    const record = await imports.get(id);
    if (record?.ended && !(await boxes.isTold(id))) await notifier.importEnded(id);
  }
  for await (const { box, group } of boxes.filled()) {
    if (signal.aborted) return;
    // An import that has not ended tells its certificates together.
    if (!isImportBox(box) || (await boxes.isTold(box))) await producer.mail({ box, group }, delayOf(box));
  }
}
