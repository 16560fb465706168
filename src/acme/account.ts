import type acme from "acme-client";
import { AppError, asAppError } from "../core/errors.ts";
import { needsEab } from "./cas.ts";
import { openClient } from "./client.ts";
import { AcmeClientSession } from "./session.ts";

/** A CA as the configuration describes it. */
export interface CaSettings {
  name: string;
  directory: string;
  root?: string;
  email?: string;
  eab?: { kid: string; hmacKey: string };
}

export interface KnownAccount {
  directory: string;
  url: string;
  contact: string[];
  registeredAt: string;
  /** The URL of the terms of service that were agreed to, and when; unknown in files of earlier versions. */
  terms?: { url: string; agreedAt: string };
  /** The key id of the external account that it is bound to. */
  eabKid?: string;
}

/** Where accounts are kept. */
export interface AccountKeeper {
  key(ca: string, generate: () => Promise<string>): Promise<string>;
  load(ca: string): Promise<KnownAccount | undefined>;
  save(ca: string, account: KnownAccount): Promise<void>;
}

/**
 * The session of this CA's account. An account that is on record is used as it is; else one is registered with the key
 * on disk, which for a key that the CA knows already finds the account again (RFC 8555 §7.3.1). `mayRegister` is asked
 * before that, and throws when it has to wait.
 */
export async function openAccount(
  ca: CaSettings,
  keeper: AccountKeeper,
  generateKey: () => Promise<string>,
  now: number,
  mayRegister: () => Promise<void> = async () => undefined,
): Promise<AcmeClientSession> {
  const keyPem = await keeper.key(ca.name, generateKey);
  const contact = ca.email ? [`mailto:${ca.email}`] : [];
  const known = await keeper.load(ca.name);
  const usable = known && known.directory === ca.directory && sameContact(known.contact, contact);
  if (usable) return await sessionOf(ca, keyPem, known.url);
  const before = known?.directory === ca.directory ? known : undefined;
  if (!before) requireEab(ca);
  await mayRegister();
  const { url, terms } = await register(ca, keyPem, contact, before);
  const registeredAt = new Date(now).toISOString();
  const agreed = terms === undefined ? {} : { terms: { url: terms, agreedAt: registeredAt } };
  const bound = ca.eab === undefined ? {} : { eabKid: ca.eab.kid };
  // Another contact is no new account, and no new agreement (RFC 8555 §7.3.2).
  const account = before?.url === url ? before : { registeredAt, ...agreed, ...bound };
  await keeper.save(ca.name, { ...account, directory: ca.directory, url, contact });
  return await sessionOf(ca, keyPem, url);
}

async function sessionOf({ directory }: CaSettings, keyPem: string, url: string): Promise<AcmeClientSession> {
  return await new AcmeClientSession({ directory, keyPem, url }).prepare();
}

/** Before any request, as the answer is known. An account that is there already needs no binding any more. */
function requireEab(ca: CaSettings): void {
  if (ca.eab || !needsEab(ca.directory)) return;
  throw new AppError(eabMissing(ca.name), { code: "external_account_required", disposition: "account" });
}

/** What to do where a CA wants external account binding (RFC 8555 §7.3.4), and none is configured. */
export function eabMissing(ca: string): string {
  return `${ca} wants external account binding: set CERTHERD_EAB_KID and CERTHERD_EAB_HMAC, or eab of that CA in the configuration, to the values that it gives you.`;
}

function sameContact(a: readonly string[], b: readonly string[]): boolean {
  return a.join() === b.join();
}

interface Registered {
  url: string;
  /** The terms that were in force at that moment. */
  terms: string | undefined;
}

/** newAccount; the library goes on to update the contact where the CA answers that it knows the key. */
async function register(
  ca: CaSettings,
  keyPem: string,
  contact: string[],
  before?: KnownAccount,
): Promise<Registered> {
  const client = openClient({
    directory: ca.directory,
    keyPem,
    ...(before ? { accountUrl: before.url } : {}),
    ...(ca.eab ? { eab: ca.eab } : {}),
  });
  try {
    // Without a mail address an account is as good; an empty list would take one away that is there.
    await client.createAccount({
      termsOfServiceAgreed: true,
      ...(contact.length > 0 || before ? { contact } : {}),
    });
    return { url: client.getAccountUrl(), terms: await termsInForce(client) };
  } catch (thrown) {
    const error = asAppError(thrown);
    // The account of a known key was found, and only the library's update of it refused, as there is nothing in it.
    const found = contact.length === 0 && error.code === "malformed" ? foundUrl(client) : undefined;
    if (found !== undefined) return { url: found, terms: await termsInForce(client) };
    throw registrationError(ca, error);
  }
}

/** The client has read the directory for its request before: this is none. */
async function termsInForce(client: acme.Client): Promise<string | undefined> {
  const url: unknown = await client.getTermsOfServiceUrl().catch(() => undefined);
  return typeof url === "string" && url !== "" ? url : undefined;
}

function foundUrl(client: acme.Client): string | undefined {
  try {
    return client.getAccountUrl();
  } catch {
    return undefined;
  }
}

function registrationError(ca: CaSettings, error: AppError): AppError {
  if (error.code === "external_account_required" && !ca.eab)
    return new AppError(eabMissing(ca.name), {
      code: error.code,
      disposition: "account",
      type: error.type,
    });
  if (error.disposition === "transient" || error.disposition === "limit") return error;
  return new AppError(`No account could be registered at ${ca.name}: ${error.message}`, {
    code: error.code === "internal" ? "registration_failed" : error.code,
    disposition: "account",
    type: error.type,
    url: error.url,
    cause: error,
  });
}
