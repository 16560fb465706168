import { queueNames, queuesOf } from "../queue/names.ts";

/** The names of all queues there are for these accounts and nodes. */
export function allQueues({
  accounts,
  nodes,
  webhooks,
}: {
  accounts: readonly string[];
  nodes: readonly string[];
  webhooks: readonly string[];
}): string[] {
  return [
    ...accounts.flatMap(queuesOf),
    ...nodes.map(queueNames.deploy),
    queueNames.notify,
    ...webhooks.map(queueNames.webhook),
  ];
}
