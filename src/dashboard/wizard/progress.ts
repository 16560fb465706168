/** How an import gets on, in the few numbers and words that a person wants. */
import type { ImportProgress, ImportSummary } from "../../api/schemas/imports.ts";
import { count, number } from "../format.ts";

export interface Standing {
  total: number;
  /** Served, or issued where nothing is to be deployed. */
  done: number;
  waiting: number;
  attention: number;
  /** All that moves by itself, soon. */
  inHand: number;
}

export function standingOf({ statuses }: Pick<ImportProgress, "statuses">): Standing {
  const of = (status: keyof typeof statuses): number => statuses[status] ?? 0;
  // What was removed since is nobody's concern any more.
  const total = Object.values(statuses).reduce((sum, n) => sum + n, 0) - of("removed");
  const [done, waiting, attention] = [of("serving") + of("issued"), of("waiting"), of("attention")];
  return { total, done, waiting, attention, inHand: total - done - waiting - attention - of("paused") };
}

/** One sentence for a screen reader: how it stands. */
export function standingWords(standing: Standing): string {
  const { total, done, waiting, attention } = standing;
  if (total > 0 && done === total) return `All ${count(total, "certificate")} are done.`;
  const rest = [
    ...(waiting > 0 ? [`${number(waiting)} ${waiting === 1 ? "waits" : "wait"}`] : []),
    ...(attention > 0 ? [`${number(attention)} ${attention === 1 ? "needs" : "need"} attention`] : []),
  ];
  return `${[`${number(done)} of ${count(total, "certificate")} done`, ...rest].join(", ")}.`;
}

/** Of an import in a list: how many of its certificates have come to rest. */
export function settledOf({ accepted, open }: Pick<ImportSummary, "accepted" | "open">): {
  settled: number;
  all: number;
} {
  const all = Math.max(accepted, open);
  return { settled: all - open, all };
}

/** Milliseconds between two sentences that are read out. */
const CALM = 15_000;

/** Whether a sentence is to be read out now: the first and the last one at once, the others at a calm pace. */
export function isToBeSaid(
  said: { words: string; at: number } | undefined,
  words: string,
  { now, isLast }: { now: number; isLast: boolean },
): boolean {
  if (said === undefined) return true;
  return words !== said.words && (isLast || now - said.at >= CALM);
}
