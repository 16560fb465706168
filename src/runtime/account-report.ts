import { eabMissing } from "../acme/account.ts";
import type { AccountAtCa } from "../acme/account-at-ca.ts";
import { needsEab } from "../acme/cas.ts";
import { directoryOf } from "../acme/directories.ts";
import type { DirectoryFacts } from "../acme/directory.ts";
import { mostNames } from "../acme/profiles.ts";
import type { CaConfig } from "../config/load.ts";
import { asAppError } from "../core/errors.ts";
import { describeKey } from "../pki/thumbprint.ts";
import type { AccountFile } from "../store/accounts.ts";
import { CaAccount } from "./accounts.ts";
import type { House } from "./house.ts";

/** One configured CA and its account. Never the key. */
export interface CaReport {
  ca: string;
  directory: string;
  /** New certificates that name no CA are ordered there. */
  default: boolean;
  /** The account's URL, once there is one. */
  account: string | null;
  /** As the CA says it now; `unknown` where it cannot be asked, or has no such account. */
  status: AccountAtCa["status"] | "not registered" | "unknown";
  /** Why that is so, where it is not simply valid. */
  detail?: string;
  /** Why nothing of the account goes on, and where a person may end that. */
  stopped?: { detail: string; url?: string };
  contact: string[];
  registeredAt: string | null;
  key: { type: string; thumbprint: string; file: string } | null;
  /** Of the external account that it is bound to, or will be. */
  eabKid: string | null;
  /** What is ordered where a row names none; null leaves it to the CA. */
  profile: string | null;
  /** Null where the directory cannot be read. */
  profiles: { name: string; description: string; names?: number }[] | null;
  terms: { url: string | null; agreed: string | null; agreedAt: string | null; current: boolean | null };
  caaIdentities: string[];
  /** A record that lets no other account issue for a name (RFC 8657 §3); null until there is an account. */
  caaRecord: string | null;
}

/** What is known of the accounts of these CAs, here and at the CAs. Registers nothing, and makes no key. */
export async function accountsReport(house: House, cas: readonly CaConfig[]): Promise<CaReport[]> {
  return await Promise.all(cas.map((ca) => reportOf(house, ca)));
}

async function reportOf(house: House, ca: CaConfig): Promise<CaReport> {
  const { accountFiles, clock, config, stops } = house;
  const file = await fileOf(house, ca);
  const [facts, key, asked, stop] = await Promise.all([
    directoryOf(ca, clock.now()).catch(() => undefined),
    accountFiles.knownKey(ca.name),
    ask(house, ca),
    stops.reason(ca.name),
  ]);
  const url = asked.account?.url ?? file?.url ?? null;
  const identities = [...new Set([...ca.caaIdentities, ...(facts?.caaIdentities ?? [])])];
  return {
    ca: ca.name,
    directory: ca.directory,
    default: ca === config.cas[0],
    account: url,
    ...standing(ca, url, asked),
    ...(stop && { stopped: { detail: stop.message, ...(stop.url === undefined ? {} : { url: stop.url }) } }),
    contact: asked.account?.contact.length ? asked.account.contact : (file?.contact ?? []),
    registeredAt: file?.registeredAt ?? null,
    key: key === undefined ? null : { ...describeKey(key), file: accountFiles.keyPath(ca.name) },
    eabKid: file?.eabKid ?? ca.eab?.kid ?? null,
    profile: ca.profile ?? null,
    profiles: facts ? profilesOf(ca, facts) : null,
    terms: termsOf(file, facts),
    caaIdentities: identities,
    caaRecord: caaRecord(identities[0], url),
  };
}

/** What is on record of the account, if it is one at this directory. */
async function fileOf({ accountFiles }: House, ca: CaConfig): Promise<AccountFile | undefined> {
  const file = await accountFiles.load(ca.name);
  return file?.directory === ca.directory ? file : undefined;
}

interface Asked {
  account?: AccountAtCa;
  fault?: string;
}

async function ask({ config, redis, clock }: House, ca: CaConfig): Promise<Asked> {
  const account = new CaAccount(ca, config, redis, clock);
  try {
    const found = await account.askCa();
    return found ? { account: found } : {};
  } catch (thrown) {
    return { fault: asAppError(thrown).message };
  } finally {
    await account.close();
  }
}

function standing(ca: CaConfig, url: string | null, { account, fault }: Asked) {
  if (account) return { status: account.status };
  if (fault !== undefined) return { status: "unknown", detail: fault } as const;
  if (url !== null)
    return {
      status: "unknown",
      detail: `${ca.name} does not know it any more; it is registered again, with the same key, with the next order.`,
    } as const;
  if (needsEab(ca.directory) && !ca.eab)
    return { status: "not registered", detail: eabMissing(ca.name) } as const;
  return { status: "not registered", detail: "It is registered with the first order." } as const;
}

function profilesOf(ca: CaConfig, { profiles }: DirectoryFacts): NonNullable<CaReport["profiles"]> {
  return [...(profiles ?? [])].map(([name, description]) => {
    const names = mostNames(ca.directory, name);
    return { name, description, ...(names === undefined ? {} : { names }) };
  });
}

function termsOf(file: AccountFile | undefined, facts: DirectoryFacts | undefined): CaReport["terms"] {
  const url = facts?.termsOfService ?? null;
  const { url: agreed = null, agreedAt = null } = file?.terms ?? {};
  return { url, agreed, agreedAt, current: url === null || agreed === null ? null : url === agreed };
}

function caaRecord(identity: string | undefined, account: string | null): string | null {
  if (identity === undefined || account === null) return null;
  return `CAA 0 issue "${identity}; accounturi=${account}"`;
}
