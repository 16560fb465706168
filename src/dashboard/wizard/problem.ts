import { Problem } from "../data/ask.ts";

/** Whatever has gone wrong, as something to show. */
export function asProblem(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem(0, "unknown", (error as Error).message);
}
