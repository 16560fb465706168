import type { StoredError } from "../core/errors.ts";
import type { AdoptedAccount } from "./accounts.ts";
import type { AfterRenewal, ClientKind } from "./found.ts";
import type { Warning } from "./warnings.ts";

/**
 * - adopt:   taken over (or would be, in a dry run).
 * - there:   Certherd has that one, or a newer one.
 * - kept:    Certherd has an older one, which stays without --force.
 * - left:    left out, as another one of the same name is taken, or the other client has given it up.
 * - refused: cannot be taken over; `error` says why.
 */
export type Action = "adopt" | "there" | "kept" | "left" | "refused";

/** One certificate in what `adopt --json` prints. */
export interface AdoptedCertificate {
  /** Its first name; what it is called there, where it could not be read. */
  name: string;
  names: string[];
  entry: string;
  action: Action;
  /** Why it is there, kept or left. */
  detail?: string;
  ca?: string;
  directory?: string;
  notAfter?: string;
  serial?: string;
  keyType?: string;
  challenge?: string;
  validatedBy?: string;
  warnings: Warning[];
  afterRenewal?: AfterRenewal;
  error?: StoredError;
}

/** `adopt --json`. */
export interface AdoptDocument {
  source: { kind: ClientKind; path: string };
  dryRun: boolean;
  counts: Record<Action, number>;
  accounts: AdoptedAccount[];
  certificates: AdoptedCertificate[];
  /** What is to be taken out, so that the other client does not go on renewing. */
  takeOut: string[];
}

export function countActions(certificates: readonly { action: Action }[]): Record<Action, number> {
  const counts: Record<Action, number> = { adopt: 0, there: 0, kept: 0, left: 0, refused: 0 };
  for (const { action } of certificates) counts[action]++;
  return counts;
}
