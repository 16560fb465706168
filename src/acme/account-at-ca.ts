import { asAppError } from "../core/errors.ts";
import { openClient } from "./client.ts";

/** An account as its CA has it now (RFC 8555 §7.1.2). */
export interface AccountAtCa {
  url: string;
  status: "valid" | "deactivated" | "revoked";
  contact: string[];
}

export interface AccountQuestion {
  directory: string;
  keyPem: string;
  /** Where it is not known, the account is looked for by its key (RFC 8555 §7.3.1). */
  url?: string;
}

/** Asks for the account and changes nothing. Undefined when the CA knows none. The endpoint has to be open. */
export async function askForAccount({
  directory,
  keyPem,
  url,
}: AccountQuestion): Promise<AccountAtCa | undefined> {
  const client = openClient({ directory, keyPem, ...(url === undefined ? {} : { accountUrl: url }) });
  try {
    const { status, contact } =
      url === undefined
        ? await client.createAccount({ onlyReturnExisting: true })
        : await client.updateAccount();
    return { url: client.getAccountUrl(), status, contact: contact ?? [] };
  } catch (thrown) {
    const error = asAppError(thrown);
    if (error.code === "account_does_not_exist") return undefined;
    const ended = endedBy(error.code, error.message);
    if (ended && url !== undefined) return { url, status: ended, contact: [] };
    throw error;
  }
}

/**
 * Tells the CA that its terms are agreed to. By RFC 8555 a CA ignores that in an update (§7.3.2), and has a person
 * follow its instructions (§7.3.3); some take it. What counts is that the account may be used again: throws
 * `user_action_required` where it may not.
 */
export async function agreeToTerms(question: AccountQuestion & { url: string }): Promise<void> {
  const { directory, keyPem, url } = question;
  const client = openClient({ directory, keyPem, accountUrl: url });
  try {
    await client.updateAccount({ termsOfServiceAgreed: true });
  } catch (thrown) {
    // Some find an update with nothing else in it empty, and refuse that.
    if (asAppError(thrown).code !== "malformed") throw thrown;
    await client.updateAccount();
  }
}

/** An account that has ended may not even be looked at (RFC 8555 §7.3.6). */
function endedBy(code: string, sentence: string): "deactivated" | "revoked" | undefined {
  if (code !== "unauthorized") return undefined;
  if (/deactivated/i.test(sentence)) return "deactivated";
  return /revoked/i.test(sentence) ? "revoked" : undefined;
}
