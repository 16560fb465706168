import { directoryOf } from "../acme/directories.ts";
import type { CaConfig } from "../config/load.ts";
import { usageError } from "../core/errors.ts";
import { CaAccount } from "./accounts.ts";
import type { House } from "./house.ts";

export interface Agreement {
  ca: string;
  /** The URL of the terms, now agreed to. */
  terms: string;
  /** The stop that the CA's `userActionRequired` had caused is lifted. */
  lifted: boolean;
}

/**
 * A person agrees to the terms of service that are in force. `read`: the URL of those that were read; others are not
 * agreed to. Throws what the CA answers, above all that it wants something else done first.
 */
export async function agreeTo(house: House, ca: CaConfig, read?: string): Promise<Agreement> {
  const { clock, stops } = house;
  const { termsOfService } = await directoryOf(ca, clock.now(), 0);
  if (termsOfService === undefined)
    throw usageError(
      "no_terms",
      `The directory of ${ca.name} names no terms of service: there is nothing to agree to.`,
    );
  if (read !== undefined && read !== termsOfService)
    throw usageError("other_terms", `The terms of ${ca.name} are at ${termsOfService} now, not at ${read}.`);
  const stopped = (await stops.reason(ca.name))?.code === "user_action_required";
  // A registration that was refused for the terms is tried again, and agrees to these.
  if (!(await tell(house, ca, termsOfService)) && !stopped)
    throw usageError(
      "not_registered",
      `There is no account at ${ca.name} yet: its terms are agreed to when it is registered, with the first order.`,
    );
  if (stopped) await stops.lift(ca.name);
  return { ca: ca.name, terms: termsOfService, lifted: stopped };
}

async function tell({ config, redis, clock }: House, ca: CaConfig, terms: string): Promise<boolean> {
  const account = new CaAccount(ca, config, redis, clock);
  try {
    return await account.agree(terms);
  } finally {
    await account.close();
  }
}
