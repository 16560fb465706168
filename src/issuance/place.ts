import type { Order, OrderOptions } from "../acme/session.ts";
import { holderOf } from "../core/certificate.ts";
import type { Turn } from "./ports.ts";
import { isReplacementRefused, replacesOf } from "./replaces.ts";

/** What is asked for beside the names; looked up at the CA, or in what is known of it. */
export async function optionsOf({ deps: { account }, record, job }: Turn): Promise<OrderOptions> {
  const profile = await account.profileFor(record);
  const replaces = await replacesOf(account, record, job);
  return {
    ...(profile === undefined ? {} : { profile }),
    ...(replaces === undefined ? {} : { replaces }),
  };
}

/** Undefined where the CA would not have it said what the order replaces: it is asked for again without. */
export async function place(turn: Turn, options: OrderOptions): Promise<Order | undefined> {
  const { deps, session, record, job } = turn;
  try {
    return await session.newOrder(record.spec.names, options);
  } catch (error) {
    if (options.replaces === undefined || !isReplacementRefused(error, job)) throw error;
    await deps.account.ledger.unsent(holderOf(record));
    // It pays now for what a renewal within the window need not.
    turn.job = { ...job, plain: true };
    return undefined;
  }
}
