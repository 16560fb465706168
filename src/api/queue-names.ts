import { queueNames } from "../queue/names.ts";

/** The names of all queues there are for these accounts. */
export function allQueues(accounts: readonly string[]): string[] {
  return [
    ...accounts.flatMap((account) => [queueNames.admit(account), queueNames.order(account)]),
    queueNames.notify,
  ];
}
