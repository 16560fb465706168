import { queueNames, queuesOf } from "../queue/names.ts";

/** The names of all queues there are for these accounts and nodes. */
export function allQueues({
  accounts,
  nodes,
}: {
  accounts: readonly string[];
  nodes: readonly string[];
}): string[] {
  return [...accounts.flatMap(queuesOf), ...nodes.map(queueNames.deploy), queueNames.notify];
}
