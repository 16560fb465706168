import { setImmediate as turn } from "node:timers/promises";

/** A long computation that can be left and taken up again at each `yield`; they come every few milliseconds. */
export type Stepwise<T> = Generator<void, T, void>;

/** Milliseconds after which others have their turn. */
const SLICE = 10;

/** For whoever has nothing else to do meanwhile. */
export function atOnce<T>(steps: Stepwise<T>): T {
  for (;;) {
    const next = steps.next();
    if (next.done) return next.value;
  }
}

/** For a process that answers others all the while. */
export async function gently<T>(steps: Stepwise<T>): Promise<T> {
  let since = performance.now();
  for (;;) {
    const next = steps.next();
    if (next.done) return next.value;
    if (performance.now() - since < SLICE) continue;
    await turn();
    since = performance.now();
  }
}
