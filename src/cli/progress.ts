import { Presets, SingleBar } from "cli-progress";
import { humanDuration } from "../core/duration.ts";
import type { Io } from "./output.ts";

export interface ProgressState {
  total: number;
  done: number;
  failed: number;
  /** Standing still for a limit or a CA. */
  waiting: number;
}

/** Milliseconds between two lines where no terminal is there to draw a bar on. */
const LINE_EVERY = 5_000;

/** Live progress on stderr: a bar on a terminal, else a line now and then. */
export class Progress {
  readonly #io: Io;
  readonly #bar: SingleBar | undefined;
  readonly #startedAt: number;
  #lineAt: number;

  constructor(io: Io, now: number) {
    this.#io = io;
    this.#startedAt = now;
    this.#lineAt = now;
    if (!io.err.isTTY) return;
    const format =
      "{bar} {percentage}%  {value}/{total}  failed {failed}  waiting {waiting}  {rate}/s  {left} left";
    this.#bar = new SingleBar(
      { format, stream: io.err, hideCursor: true, clearOnComplete: false, barsize: 28, forceRedraw: true },
      Presets.shades_classic,
    );
    this.#bar.start(0, 0, { failed: 0, waiting: 0, rate: "0.0", left: "–" });
  }

  update(state: ProgressState, now: number): void {
    const settled = state.done + state.failed;
    const rate = settled / Math.max(0.001, (now - this.#startedAt) / 1_000);
    const left = settled > 0 && rate > 0 ? humanDuration(((state.total - settled) / rate) * 1_000) : "–";
    const { failed, waiting } = state;
    if (this.#bar) {
      this.#bar.setTotal(state.total);
      this.#bar.update(settled, { failed, waiting, rate: rate.toFixed(1), left });
    } else if (now - this.#lineAt >= LINE_EVERY) {
      this.#lineAt = now;
      this.#io.err.write(
        `${settled}/${state.total} settled, ${failed} failed, ${waiting} waiting, ${rate.toFixed(1)}/s, ${left} left\n`,
      );
    }
  }

  stop(): void {
    this.#bar?.stop();
  }
}
