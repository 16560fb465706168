import { createHash } from "node:crypto";
import { directoryOf } from "../acme/directories.ts";
import type { CaConfig } from "../config/load.ts";
import type { AccountFile } from "../store/accounts.ts";
import { keys } from "../store/keys.ts";
import type { House } from "./house.ts";
import { every, type Service } from "./service.ts";

/** Milliseconds between two looks. */
const LOOK = 3_600_000;
/** Seconds that one process has for telling; should it die meanwhile, the next look tells. */
const TELLING = 60;

/** Terms that are in force and were not agreed to; undefined where they were, or where one of both is not known. */
export interface NewTerms {
  agreed: string;
  url: string;
}

export function newTerms(
  ca: Pick<CaConfig, "directory">,
  account: AccountFile | undefined,
  termsOfService: string | undefined,
): NewTerms | undefined {
  const agreed = account?.directory === ca.directory ? account.terms?.url : undefined;
  if (agreed === undefined || termsOfService === undefined || agreed === termsOfService) return undefined;
  return { agreed, url: termsOfService };
}

/** What a person is told of it. The CA may go on for long (RFC 8555 §7.3.3: it says `userActionRequired` once it does not). */
export function termsSentence(ca: string, { agreed, url }: NewTerms): string {
  return `${ca} has other terms of service than those that were agreed to: ${url} (agreed to: ${agreed}). Orders go on for as long as the CA takes them. Read them, then: certherd account agree ${ca}`;
}

/** Looks every hour, and at once, whether a CA has other terms. What cannot be reached is looked at the next time. */
export function startTermsWatch(house: House): Service {
  const look = async (): Promise<void> => {
    for (const ca of house.config.cas) await lookAtTerms(house, ca).catch(() => undefined);
  };
  const first = look();
  const later = every(LOOK, house, look);
  return {
    close: async () => {
      await later.close();
      await first;
    },
  };
}

/** Tells the operator of new terms, once for each URL, whichever process comes first. */
export async function lookAtTerms(house: House, ca: CaConfig): Promise<void> {
  const { accountFiles, clock, notifier, redis, tell } = house;
  const account = await accountFiles.load(ca.name);
  if (account?.terms === undefined) return;
  const { termsOfService } = await directoryOf(ca, clock.now());
  const found = newTerms(ca, account, termsOfService);
  if (!found) return;
  const key = keys.told(`terms:${ca.name}:${digest(found.url)}`);
  if ((await redis.set(key, "telling", "EX", TELLING, "NX")) !== "OK") return;
  const sentence = termsSentence(ca.name, found);
  await notifier.warnOperator(ca.name, `${ca.name} has new terms of service`, sentence);
  tell(sentence);
  await redis.set(key, found.url);
}

function digest(url: string): string {
  return createHash("sha256").update(url).digest("base64url").slice(0, 16);
}
