import { rfc3339 } from "../core/clock.ts";
import { asAppError, type StoredError, storedError } from "../core/errors.ts";
import type { AccountFile, AccountFiles } from "../store/accounts.ts";
import type { ForeignHome, FoundAccount } from "./found.ts";

/** A CA of the configuration. */
export interface AccountCa {
  name: string;
  directory: string;
  email?: string;
}

export interface AdoptedAccount {
  ca: string;
  directory: string;
  /** Where the other client keeps it. */
  entry: string;
  url?: string;
  /** `there`: it is this very account. `kept`: we have one of our own, which stays. */
  action: "adopt" | "there" | "kept" | "refused";
  error?: StoredError;
}

/** The key that is in use for this CA, if any; for a look that changes nothing. */
export type KeyLook = (ca: string) => Promise<string | undefined>;

/**
 * Takes over the accounts at the CAs that are configured, so that their authorizations and the exemption of renewals stay;
 * only where there is none of ours yet. Without `store` it only says what would be done.
 */
export async function adoptAccounts(
  home: ForeignHome,
  cas: readonly AccountCa[],
  preferred: (directory: string) => string | undefined,
  look: KeyLook,
  store: AccountFiles | undefined,
  now: number,
): Promise<AdoptedAccount[]> {
  const adopted: AdoptedAccount[] = [];
  for (const ca of cas) {
    const { name, directory } = ca;
    try {
      const found = await home.account(directory, preferred(directory));
      if (found === undefined) continue;
      const action = await adoptOne(ca, found, look, store, now);
      const { entry, url } = found;
      adopted.push({ ca: name, directory, entry, ...(url === undefined ? {} : { url }), action });
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.disposition !== "attention") throw error;
      adopted.push({ ca: name, directory, entry: home.path, action: "refused", error: storedError(error) });
    }
  }
  return adopted;
}

async function adoptOne(
  ca: AccountCa,
  found: FoundAccount,
  look: KeyLook,
  store: AccountFiles | undefined,
  now: number,
): Promise<AdoptedAccount["action"]> {
  const ours = await look(ca.name);
  if (ours !== undefined && ours !== found.keyPem) return "kept";
  if (store === undefined) return ours === undefined ? "adopt" : "there";
  // Whoever comes first stands.
  const stands = await store.key(ca.name, async () => found.keyPem);
  if (stands !== found.keyPem) return "kept";
  // Died between the two: the URL is still missing.
  if (found.url !== undefined && (await store.load(ca.name)) === undefined)
    await store.save(ca.name, accountFile(ca, found, found.url, now));
  return ours === undefined ? "adopt" : "there";
}

/**
 * With the contact that the CA has, so that a configured one replaces it at the first use. Where none is configured, the
 * one that the CA has is to stay: then none is noted, as none will be asked for.
 */
function accountFile(ca: AccountCa, { contact }: FoundAccount, url: string, now: number): AccountFile {
  return {
    directory: ca.directory,
    url,
    contact: ca.email === undefined ? [] : contact,
    registeredAt: rfc3339(now),
  };
}
