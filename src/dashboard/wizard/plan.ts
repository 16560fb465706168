/** The plan of a dry run, as a curve that is drawn quickly however many certificates there are. */
import type { ImportForecast } from "../../api/schemas/imports.ts";

type Plan = ImportForecast["plan"];

export interface Curve {
  /** Milliseconds since the epoch, ascending. */
  x: readonly number[];
  /** How many are ordered by then. */
  y: readonly number[];
}

const MOST_POINTS = 200;
/** Milliseconds. */
const SHORTEST = 600_000;

/** From now to the last order, thinned out to what a screen can show. */
export function curveOf(certificates: Plan["certificates"], now: number): Curve {
  const times = certificates.map(({ at }) => Date.parse(at)).sort((a, b) => a - b);
  const x = [now];
  const y = [0];
  // What goes at once is a step too, and not where the curve begins.
  const first = now + 1;
  const step = Math.max(1, Math.ceil(times.length / MOST_POINTS));
  for (const [index, time] of times.entries()) {
    const at = Math.max(first, time);
    const isKept = (index + 1) % step === 0 || index === times.length - 1;
    if (!isKept) continue;
    // Two at one moment are one step.
    if (x.at(-1) === at) y[y.length - 1] = index + 1;
    else {
      x.push(at);
      y.push(index + 1);
    }
  }
  // However quick it is, there is a time to draw it over.
  if ((x.at(-1) ?? now) < now + SHORTEST) {
    x.push(now + SHORTEST);
    y.push(times.length);
  }
  return { x, y };
}

/** How many are ordered at each CA. */
export function ordersByCa(certificates: Plan["certificates"]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { ca } of certificates) if (typeof ca === "string") counts.set(ca, (counts.get(ca) ?? 0) + 1);
  return counts;
}
