import { usageError } from "../core/errors.ts";
import { type Environment, secret } from "./environment.ts";

const BYTES = 32;

/** The key of the store in Redis: 32 bytes, as base64 or as 64 hex digits. Undefined where there is none. */
export function storeKey(env: Environment): Buffer | undefined {
  const text = secret(env, "CERTHERD_STORE_KEY");
  if (text === undefined) return undefined;
  const key = decoded(text);
  if (key?.length === BYTES && new Set(key).size > 1) return key;
  throw usageError(
    "config_invalid",
    "CERTHERD_STORE_KEY must be 32 random bytes, as base64 or as 64 hex digits; make one with: openssl rand -base64 32",
  );
}

function decoded(text: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, "hex");
  // 32 bytes leave one "=" at the end; the URL's alphabet is as good.
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, "base64") : undefined;
}
