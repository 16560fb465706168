import { createHash, timingSafeEqual } from "node:crypto";
import type { ApiToken, Config } from "../config/load.ts";

export type Scope = ApiToken["scopes"][number];

/** Who asks, once the token is known. */
export interface Caller {
  /** Stays the same over restarts; no part of the token. */
  id: string;
  /** Another one when the token is another one, though it has the same name. Tells nothing of the token. */
  mark: string;
  scopes: ReadonlySet<Scope>;
}

interface Entry extends Caller {
  digest: Buffer;
}

const ALL: ReadonlySet<Scope> = new Set(["read", "enqueue", "admin"]);

/** Whom the API lets in. Holds digests alone. */
export class TokenBook {
  readonly #entries: readonly Entry[];

  /** `full` is a token that may do everything; those of the configuration may do what it says. */
  constructor(full: string | undefined, configured: Config["tokens"]) {
    this.#entries = [
      ...(full === undefined ? [] : [entryOf("full", digestOf(full), ALL)]),
      ...configured.map(({ name, sha256, scopes }) =>
        entryOf(`named:${name}`, Buffer.from(sha256, "hex"), new Set(scopes)),
      ),
    ];
  }

  /** Takes the same time whichever token it is, and however much of one was guessed. */
  find(token: string): Caller | undefined {
    const digest = digestOf(token);
    let found: Caller | undefined;
    for (const entry of this.#entries) if (timingSafeEqual(digest, entry.digest)) found ??= entry;
    return found;
  }

  /** Who that was, with today's scopes; undefined when the token is gone, or another one. */
  byMark(id: string, mark: string): Caller | undefined {
    return this.#entries.find((entry) => entry.id === id && entry.mark === mark);
  }
}

function entryOf(id: string, digest: Buffer, scopes: ReadonlySet<Scope>): Entry {
  return { id, mark: createHash("sha256").update(digest).digest("base64url").slice(0, 16), digest, scopes };
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

export function mayDo(caller: Caller, scope: Scope): boolean {
  return caller.scopes.has("admin") || caller.scopes.has(scope);
}
