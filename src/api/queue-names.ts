import { queueNames, queuesOf } from "../queue/names.ts";

/** The names of all queues there are for these accounts. */
export function allQueues(accounts: readonly string[]): string[] {
  return [...accounts.flatMap(queuesOf), queueNames.notify];
}
