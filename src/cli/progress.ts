import { Presets, SingleBar } from "cli-progress";
import { rfc3339 } from "../core/clock.ts";
import { humanDuration } from "../core/duration.ts";
import type { Io } from "./output.ts";

export interface ProgressState {
  total: number;
  done: number;
  failed: number;
  /** Standing still for a limit or a CA. */
  waiting: number;
  /** By when all is done under the CA's limits, as things stand; milliseconds since the epoch. */
  doneBy?: number | undefined;
}

/** What the limits say counts where it is later than what the pace so far says: they may bind only from now on. */
function leftOf({ doneBy }: ProgressState, now: number, byPace: number | undefined): string {
  const byLimits = doneBy === undefined ? undefined : doneBy - now;
  if (byLimits !== undefined && byLimits > LONG && byLimits > (byPace ?? 0))
    return `${humanDuration(byLimits)} (done by ${rfc3339(now + byLimits).slice(0, 16)}Z)`;
  return byPace === undefined ? "–" : humanDuration(byPace);
}

/** Milliseconds from which on the limits are what is waited for. */
const LONG = 60_000;

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
    const left = leftOf(
      state,
      now,
      settled > 0 && rate > 0 ? ((state.total - settled) / rate) * 1_000 : undefined,
    );
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
