/** Numbers that look random and are the same on every run. */

export interface Random {
  /** A whole number from 0 to `bound` - 1. */
  below(bound: number): number;
  /** True once in so many times. */
  oneIn(times: number): boolean;
  /** One of these, which must not be none. */
  of<T>(items: readonly T[]): T;
}

/** Mulberry32 (Tommy Ettinger, public domain): its low bits are as good as its high ones. */
export function randomFrom(seed: number): Random {
  let state = seed;
  const below = (bound: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
  return { below, oneIn: (times) => below(times) === 0, of: (items) => items[below(items.length)] as never };
}
