import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ask, Problem } from "./ask.ts";
import { type LiveEvent, listen } from "./events.ts";

export interface Data<T> {
  /** The last answer, also while the next one is on its way or has failed. */
  data: T | undefined;
  problem: Problem | undefined;
  /** Asks again now. */
  refresh: () => void;
}

interface Options {
  /** Milliseconds after which it is asked again. */
  every?: number;
  /** Events after which it is asked again, at most once a second. */
  on?: (event: LiveEvent) => boolean;
}

/** Milliseconds: events that come close together are one reason to ask again; and after a failure. */
const GATHER = 1_000;
const AFTER_FAILURE = 5_000;

/** What a path answers, kept up to date while the component is there and the page is seen. */
export function useData<T>(path: string | undefined, { every, on }: Options = {}): Data<T> {
  const [state, setState] = useState<{ path?: string | undefined; data?: T; problem?: Problem }>({});
  const [turn, setTurn] = useState(0);
  const interest = useRef(on);
  interest.current = on;
  const refresh = useCallback(() => setTurn((before) => before + 1), []);

  // `turn` is there to ask again.
  useEffect(() => {
    if (path === undefined) return;
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = (after: number | undefined): void => {
      if (after === undefined || leaving.signal.aborted) return;
      timer = setTimeout(() => (document.hidden ? again(after) : refresh()), after);
    };
    ask<T>(path, { signal: leaving.signal }).then(
      (data) => {
        setState({ path, data });
        again(every);
      },
      (error: unknown) => {
        if (leaving.signal.aborted) return;
        const problem = error instanceof Problem ? error : new Problem(0, "unknown", String(error));
        setState((before) => ({ ...(before.path === path ? before : { path }), problem }));
        if (problem.status === 0 || problem.status >= 500) again(AFTER_FAILURE);
        else again(every);
      },
    );
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [path, turn, every, refresh]);

  const live = on !== undefined;
  useEffect(() => {
    if (!live) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = listen((event) => {
      if (timer !== undefined || interest.current?.(event) !== true) return;
      timer = setTimeout(() => {
        timer = undefined;
        refresh();
      }, GATHER);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [live, refresh]);

  const own = state.path === path;
  return { data: own ? state.data : undefined, problem: own ? state.problem : undefined, refresh };
}
