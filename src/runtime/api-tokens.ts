import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { TokenBook } from "../api/tokens.ts";
import type { Config } from "../config/load.ts";
import { AppError } from "../core/errors.ts";
import { createAtomic, SECRET_FILE } from "../store/atomic.ts";

export interface Tokens {
  book: TokenBook;
  /** A sentence: where they are to be had. Never one of them. */
  how: string;
}

/** Those of the configuration; where it has none, one that is made at the first start, as an open API is no choice. */
export async function apiTokens(config: Config): Promise<Tokens> {
  const { apiToken, tokens, home } = config;
  const configured = [
    ...(apiToken === undefined ? [] : ["the one of CERTHERD_API_TOKEN"]),
    ...(tokens.length === 0 ? [] : ["one of those that `tokens` in the configuration file stands for"]),
  ];
  if (configured.length > 0)
    return { book: new TokenBook(apiToken, tokens), how: `The token is ${configured.join(", or ")}.` };
  const path = join(home, "api-token");
  return { book: new TokenBook(await ownToken(path), []), how: `The token is in ${path}.` };
}

async function ownToken(path: string): Promise<string> {
  await createAtomic(path, `${randomBytes(32).toString("base64url")}\n`, SECRET_FILE);
  const token = (await readFile(path, "utf8")).trim();
  if (token !== "") return token;
  throw new AppError(`${path} holds no token; delete it to have a new one made.`, {
    code: "api_token_empty",
    disposition: "usage",
  });
}
