import type { Redis } from "ioredis";
import { AccountFiles } from "./accounts.ts";
import { CertificateFiles } from "./files.ts";
import { Removals } from "./removals.ts";
import { SharedAccountFiles } from "./shared-accounts.ts";
import { SharedCertificateFiles } from "./shared-files.ts";
import { SharedRemovals } from "./shared-removals.ts";
import { Vault } from "./vault.ts";

/** Where certificates and accounts are kept. */
export interface Stores {
  certificates: CertificateFiles;
  accounts: AccountFiles;
  removals: Removals;
  /** What there is only where other hosts have the same store. */
  shared?: { vault: Vault; certificates: SharedCertificateFiles };
}

/** On this host's disk; with a key for it, in Redis too, for the other hosts. */
export function openStores(home: string, redis: Redis, storeKey: Buffer | undefined): Stores {
  const removals = new Removals(home);
  if (storeKey === undefined)
    return { certificates: new CertificateFiles(home), accounts: new AccountFiles(home), removals };
  const vault = new Vault(redis, storeKey);
  const certificates = new SharedCertificateFiles(home, vault, new SharedRemovals(redis, removals));
  return {
    certificates,
    accounts: new SharedAccountFiles(home, vault),
    removals,
    shared: { vault, certificates },
  };
}
