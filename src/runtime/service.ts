import type { House } from "./house.ts";

/** Something that runs until it is closed. */
export interface Service {
  close(): Promise<void>;
}

/**
 * Does something again and again, never twice at once, and not while Redis is away. What fails is logged, and done
 * again the next time.
 */
export function every(
  ms: number,
  { redis, log }: Pick<House, "redis" | "log">,
  act: () => Promise<void>,
): Service {
  let turn = Promise.resolve();
  const timer = setInterval(() => {
    turn = turn
      .then(async () => {
        if (redis.status === "ready") await act();
      })
      .catch((error: Error) => log(error.message));
  }, ms);
  return {
    close: async () => {
      clearInterval(timer);
      await turn;
    },
  };
}

/** One service out of several; closed in the reverse order of their start, each even if another one fails. */
export function together(services: readonly Service[]): Service {
  return {
    close: async () => {
      const failures: unknown[] = [];
      for (const service of [...services].reverse())
        await service.close().catch((error) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    },
  };
}
