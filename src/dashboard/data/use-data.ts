import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ask, asProblem, type Problem } from "./ask.ts";
import { type LiveEvent, listen } from "./events.ts";
import { Loop } from "./loop.ts";

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

/** Milliseconds: events that come close together are one reason to ask again. */
const GATHER = 1_000;
/** After the last of them it is asked once more: answers that many ask for may be a second old. */
const SETTLE = 2_500;

/** What a path answers, kept up to date while the component is there and the page is seen. */
export function useData<T>(path: string | undefined, options: Options = {}): Data<T> {
  return useLoaded<T>(path, (signal) => ask<T>(path ?? "", { signal }), options);
}

interface State<T> {
  key?: string | undefined;
  data?: T;
  problem?: Problem;
}

/** The same for what takes more than one request; `key` tells one answer from another. */
export function useLoaded<T>(
  key: string | undefined,
  load: (signal: AbortSignal) => Promise<T>,
  { every, on }: Options = {},
): Data<T> {
  const [state, setState] = useState<State<T>>({});
  const newest = useRef({ load, every, on });
  newest.current = { load, every, on };
  const running = useRef<Loop<T>>();

  useEffect(() => {
    if (key === undefined) return;
    const loop = new Loop<T>({
      load: (signal) => newest.current.load(signal),
      every: () => newest.current.every,
      onAnswer: (data) => setState({ key, data }),
      onFailure: (error) => {
        const problem = asProblem(error);
        setState((before) => ({ ...(before.key === key ? before : { key }), problem }));
        return problem.status === 0 || problem.status === 429 || problem.status >= 500;
      },
      isHidden: () => document.hidden,
    });
    running.current = loop;
    void loop.ask();
    const look = (): void => void (document.hidden ? undefined : loop.wake());
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      loop.end();
    };
  }, [key]);

  const refresh = useCallback(() => void running.current?.ask(), []);
  // A page that is asked less, or more, often from now on.
  const pace = useRef(every);
  useEffect(() => {
    if (pace.current !== every) refresh();
    pace.current = every;
  }, [every, refresh]);

  const isLive = on !== undefined;
  useEffect(() => {
    if (!isLive) return;
    let soon: ReturnType<typeof setTimeout> | undefined;
    let settled: ReturnType<typeof setTimeout> | undefined;
    const stop = listen((event) => {
      if (newest.current.on?.(event) !== true) return;
      clearTimeout(settled);
      settled = setTimeout(refresh, SETTLE);
      soon ??= setTimeout(() => {
        soon = undefined;
        refresh();
      }, GATHER);
    });
    return () => {
      stop();
      clearTimeout(soon);
      clearTimeout(settled);
    };
  }, [isLive, refresh]);

  const own = state.key === key;
  return { data: own ? state.data : undefined, problem: own ? state.problem : undefined, refresh };
}
