const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Up to here a person thinks in hours. */
const BY_HOUR = 48 * HOUR;
const MOST = 20;
/** Hours that divide a day, then days; beyond them, doubled. */
const HOURS = [1, 2, 3, 4, 6].map((count) => count * HOUR);
const DAYS = [1, 2, 7, 14, 28, 56, 91, 182, 364].map((count) => count * DAY);

export interface Histogram {
  /** Milliseconds that one bar stands for. */
  step: number;
  /** Without gaps, from the first to the last one with something in it. `from`: milliseconds since the epoch. */
  bars: { from: number; count: number }[];
}

/** How many of these times (milliseconds since the epoch) fall into each hour or day of UTC, in 20 bars at most. */
export function histogram(times: readonly number[]): Histogram {
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (const time of times) {
    first = Math.min(first, time);
    last = Math.max(last, time);
  }
  if (first > last) return { step: HOUR, bars: [] };
  const steps = last - first <= BY_HOUR ? HOURS : DAYS;
  const start = (step: number): number => floor(first, Math.min(step, DAY));
  const bins = (step: number): number => Math.floor((last - start(step)) / step) + 1;
  let step = steps.find((one) => bins(one) <= MOST) ?? (steps.at(-1) as number);
  while (bins(step) > MOST) step *= 2;
  const from = start(step);
  const bars = Array.from({ length: bins(step) }, (_, index) => ({ from: from + index * step, count: 0 }));
  for (const time of times) {
    const bar = bars[Math.floor((time - from) / step)];
    if (bar) bar.count++;
  }
  return { step, bars };
}

/** The epoch began at midnight, so hours that divide a day begin with it. */
function floor(time: number, step: number): number {
  return Math.floor(time / step) * step;
}
