import { eabMissing } from "../acme/account.ts";
import { needsEab } from "../acme/cas.ts";
import type { CaConfig } from "../config/load.ts";
import { usageError } from "../core/errors.ts";
import type { AccountFiles } from "../store/accounts.ts";
import type { House } from "./house.ts";

/**
 * Before anything is asked of a CA: one that is known to take no account without external binding has one configured,
 * or has an account already, which needs none any more.
 */
export async function requireBindings({
  config,
  accountFiles,
}: Pick<House, "config" | "accountFiles">): Promise<void> {
  for (const ca of config.cas)
    if (await lacksBinding(ca, accountFiles)) throw usageError("eab_missing", eabMissing(ca.name));
}

export async function lacksBinding(ca: CaConfig, files: Pick<AccountFiles, "load">): Promise<boolean> {
  if (ca.eab || !needsEab(ca.directory)) return false;
  return (await files.load(ca.name))?.directory !== ca.directory;
}
