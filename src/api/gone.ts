import type { ServerResponse } from "node:http";

/**
 * Calls back once, when the caller has been answered or has hung up: at once where they hung up while this request was
 * still waiting for Redis to know them. A closed response says "close" to nobody who asks later.
 */
export function whenGone(response: ServerResponse, act: () => void): void {
  if (response.destroyed) act();
  else response.once("close", act);
}
