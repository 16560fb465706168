/** How long answers took, for a person: `p50 3.2  p99 9.0  at most 26.1`, in the unit that they came in. */
export function timesToldOf(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(1);
  return `p50 ${at(0.5)}  p99 ${at(0.99)}  at most ${at(1)}`;
}
