import type acme from "acme-client";
import { AppError, asAppError } from "../core/errors.ts";
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
}

/** Where accounts are kept. */
export interface AccountKeeper {
  key(ca: string, generate: () => Promise<string>): Promise<string>;
  load(ca: string): Promise<KnownAccount | undefined>;
  save(ca: string, account: KnownAccount): Promise<void>;
}

/**
 * The session of this CA's account. `mayRegister` is asked before a new account is, and throws when that has to wait. An account that is on record is used as it is; else one is registered with the
 * key on disk, which for a key that the CA knows already finds the account again (RFC 8555 §7.3.1).
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
  if (!usable) await mayRegister();
  const url = usable ? known.url : await register(ca, keyPem, contact, known);
  if (!usable)
    await keeper.save(ca.name, {
      directory: ca.directory,
      url,
      contact,
      registeredAt: new Date(now).toISOString(),
    });
  return await new AcmeClientSession({ directory: ca.directory, keyPem, url }).prepare();
}

function sameContact(a: readonly string[], b: readonly string[]): boolean {
  return a.join() === b.join();
}

/** newAccount; the library goes on to update the contact where the CA answers that it knows the key. */
async function register(
  ca: CaSettings,
  keyPem: string,
  contact: string[],
  known?: KnownAccount,
): Promise<string> {
  const sameCa = known?.directory === ca.directory;
  const client = openClient({
    directory: ca.directory,
    keyPem,
    ...(sameCa && known ? { accountUrl: known.url } : {}),
    ...(ca.eab ? { eab: ca.eab } : {}),
  });
  try {
    // Without a mail address an account is as good; an empty list would take one away that is there.
    await client.createAccount({
      termsOfServiceAgreed: true,
      ...(contact.length > 0 || sameCa ? { contact } : {}),
    });
    return client.getAccountUrl();
  } catch (thrown) {
    const error = asAppError(thrown);
    // The account of a known key was found, and only the library's update of it refused, as there is nothing in it.
    const found = contact.length === 0 && error.code === "malformed" ? foundUrl(client) : undefined;
    if (found !== undefined) return found;
    throw registrationError(ca, error);
  }
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
    return new AppError(
      `${ca.name} wants external account binding: set CERTHERD_EAB_KID and CERTHERD_EAB_HMAC to the values that it gives you.`,
      { code: error.code, disposition: "account", type: error.type },
    );
  if (error.disposition === "transient" || error.disposition === "limit") return error;
  return new AppError(`No account could be registered at ${ca.name}: ${error.message}`, {
    code: error.code === "internal" ? "registration_failed" : error.code,
    disposition: "account",
    type: error.type,
    cause: error,
  });
}
