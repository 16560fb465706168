import { useState } from "preact/hooks";
import { ask, asProblem, type Problem } from "./ask.ts";

interface Page {
  next?: string | undefined;
}

interface Older<T> {
  pages: readonly T[];
  problem: Problem | undefined;
  /** Asks for the page that follows; undefined behind the last one. */
  goOn: (() => Promise<void>) | undefined;
}

/** The pages behind a first one that is kept up to date: each is asked for once, when somebody wants it. */
export function useOlder<T extends Page>(path: string, first: T | undefined): Older<T> {
  const [pages, setPages] = useState<readonly T[]>([]);
  const [problem, setProblem] = useState<Problem>();
  const next = (pages.at(-1) ?? first)?.next;
  if (next === undefined) return { pages, problem, goOn: undefined };
  return {
    pages,
    problem,
    goOn: async () => {
      try {
        const page = await ask<T>(
          `${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(next)}`,
        );
        setPages((before) => [...before, page]);
        setProblem(undefined);
      } catch (error) {
        setProblem(asProblem(error));
      }
    },
  };
}
