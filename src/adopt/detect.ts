import { join } from "node:path";
import { usageError } from "../core/errors.ts";
import { AcmeShHome } from "./acme-sh.ts";
import { CertbotHome } from "./certbot.ts";
import type { ForeignHome } from "./found.ts";
import { isFolder, listForeign, readForeign } from "./read.ts";
import { parseSettings } from "./settings.ts";

/** Folders looked into for a certificate of acme.sh, where nothing else tells. */
const LOOKS = 200;

/** The home of another ACME client, told by what is in it. */
export async function detectHome(path: string): Promise<ForeignHome> {
  if (!(await isFolder(path)))
    throw usageError(
      "adopt_no_home",
      `${path} is no folder: give an acme.sh home (~/.acme.sh) or certbot's folder (/etc/letsencrypt).`,
    );
  if (await isCertbot(path)) return new CertbotHome(path);
  if (await isAcmeSh(path)) return await AcmeShHome.open(path);
  throw usageError(
    "adopt_no_home",
    `${path} is neither an acme.sh home (account.conf, a folder for each name with NAME.conf in it) nor certbot's folder (renewal, live, archive).${await hint(path)}`,
  );
}

async function isCertbot(path: string): Promise<boolean> {
  const [renewal, live, archive] = await Promise.all(
    ["renewal", "live", "archive"].map((name) => isFolder(join(path, name))),
  );
  return renewal === true || (live === true && archive === true);
}

async function isAcmeSh(path: string): Promise<boolean> {
  if ((await readForeign(join(path, "account.conf"))) !== undefined) return true;
  for (const entry of (await listForeign(path)).slice(0, LOOKS)) {
    const conf = await readForeign(join(path, entry, `${entry.replace(/_ecc$/, "")}.conf`));
    if (conf !== undefined && parseSettings(conf).has("Le_Domain")) return true;
  }
  return false;
}

/** One folder too high or too low is the likeliest mistake. */
async function hint(path: string): Promise<string> {
  for (const near of [join(path, ".acme.sh"), join(path, "letsencrypt"), join(path, "..")])
    if (await looksLikeHome(near)) return ` Did you mean ${near}?`;
  return "";
}

async function looksLikeHome(path: string): Promise<boolean> {
  if (!(await isFolder(path))) return false;
  return (await isCertbot(path)) || (await readForeign(join(path, "account.conf"))) !== undefined;
}
