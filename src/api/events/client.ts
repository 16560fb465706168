import type { ServerResponse } from "node:http";
import { compareIds } from "../../store/event-stream.ts";
import { type Batch, batchOf, type Frame } from "./frames.ts";

/** Bytes that may wait for a client that does not read; it is cut off then, and comes back with Last-Event-ID. */
export const BUFFER_LIMIT = 256 * 1024;
/** Milliseconds in which a client has to take what was sent while it catches up. */
const TAKE_WITHIN = 30_000;

/** One listener. What waits for it is the same memory for all. */
export class EventClient {
  readonly token: string;
  /** The last event that it was sent. */
  position: string;
  /** It has what was kept, and is sent what comes. */
  live = false;
  readonly #response: ServerResponse;
  readonly #form: keyof Batch;

  constructor(response: ServerResponse, token: string, position: string, form: keyof Batch) {
    this.#response = response;
    this.token = token;
    this.position = position;
    this.#form = form;
  }

  get gone(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  /** False where it has not read for so long that it was cut off. */
  write(data: Buffer): boolean {
    if (this.gone) return true;
    if (this.#response.writableLength > BUFFER_LIMIT) {
      this.#response.destroy();
      return false;
    }
    this.#response.write(data);
    return true;
  }

  /** Sends what it has not seen yet. `all` is the frames in one. */
  send(frames: readonly Frame[], all: Batch): boolean {
    const [first] = frames;
    const last = frames.at(-1);
    if (!first || !last || compareIds(last.id, this.position) <= 0) return true;
    const fresh =
      compareIds(first.id, this.position) > 0
        ? all
        : batchOf(frames.filter(({ id }) => compareIds(id, this.position) > 0));
    this.position = last.id;
    return this.write(fresh[this.#form]);
  }

  /** Resolves when it has taken what it was sent; false where it is gone, or does not. */
  async taken(): Promise<boolean> {
    if (this.gone) return false;
    if (!this.#response.writableNeedDrain) return true;
    return await new Promise((resolve) => {
      const end = (taken: boolean): void => {
        clearTimeout(timer);
        this.#response.off("drain", onDrain).off("close", onClose);
        resolve(taken);
      };
      const onDrain = (): void => end(true);
      const onClose = (): void => end(false);
      const timer = setTimeout(onClose, TAKE_WITHIN);
      this.#response.once("drain", onDrain).once("close", onClose);
    });
  }

  end(): void {
    this.#response.end();
  }

  cutOff(): void {
    this.#response.destroy();
  }
}
