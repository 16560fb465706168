import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { AppError } from "../core/errors.ts";
import { keys } from "./keys.ts";

/** An entry in Redis: version, nonce, ciphertext, tag (AES-256-GCM, NIST SP 800-38D). */
const VERSION = 1;
const NONCE = 12;
const TAG = 16;
/** What tells two states of an entry apart: no nonce is drawn twice. */
const HEAD = 1 + NONCE;

const DAMAGED = "store_damaged";

/** The name under which the check value is encrypted: no entry has it, as theirs have a slash. */
const CHECK = "check";

/**
 * Writes an entry if it still is what was read, and with the first one the check value: Redis may have been emptied.
 *
 * KEYS: entry, check value. ARGV: the entry's first bytes as read ("" for none), new value, check value.
 */
const REPLACE = `
if redis.call('GETRANGE', KEYS[1], 0, ${HEAD - 1}) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SETNX', KEYS[2], ARGV[3])
return 1
`;

/**
 * Secrets in Redis, encrypted with a key that every host has and Redis has not. An entry's name is authenticated with
 * it, so that none can be passed off as another one.
 */
export class Vault {
  readonly #redis: Redis;
  readonly #key: Buffer;

  /** `key`: 32 bytes. */
  constructor(redis: Redis, key: Buffer) {
    this.#redis = redis;
    this.#key = key;
  }

  /** Throws when the store was written with another key; an empty one is this key's from now on. */
  async check(): Promise<void> {
    await this.#redis.set(keys.vaultCheck, this.#encrypt(CHECK, CHECK), "NX");
    if (!(await this.#isOurs())) throw wrongKey();
  }

  async get(name: string): Promise<string | undefined> {
    const sealed = await this.#redis.getBuffer(keys.vault(name));
    return sealed === null ? undefined : await this.#open(name, sealed);
  }

  async put(name: string, value: string): Promise<void> {
    await this.update(name, () => value);
  }

  /** The value that stands: this one, or the one that was there before. */
  async putIfAbsent(name: string, value: string): Promise<string> {
    const stands = await this.update(name, (before) => before ?? value);
    return stands ?? value;
  }

  /**
   * Replaces a value by what `change` makes of it, over all hosts one after the other; `change` may be called more than
   * once. What it returns unchanged is not written. `mend`: what is damaged counts as nothing. Returns the value that
   * stands.
   */
  async update(
    name: string,
    change: (before: string | undefined) => string | undefined,
    { mend = false }: { mend?: boolean } = {},
  ): Promise<string | undefined> {
    const key = keys.vault(name);
    for (;;) {
      const sealed = await this.#redis.getBuffer(key);
      const before = sealed === null ? undefined : await this.#open(name, sealed, mend);
      const after = change(before);
      if (after === undefined || after === before) return before;
      const head = sealed === null ? "" : sealed.subarray(0, HEAD);
      const values = [this.#encrypt(name, after), this.#encrypt(CHECK, CHECK)];
      const done = await this.#redis.eval(REPLACE, 2, key, keys.vaultCheck, head, ...values);
      if (done === 1) return after;
    }
  }

  async delete(...names: string[]): Promise<void> {
    await this.#redis.del(...names.map((name) => keys.vault(name)));
  }

  #encrypt(name: string, value: string): Buffer {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce, { authTagLength: TAG });
    cipher.setAAD(Buffer.from(name));
    const sealed = Buffer.concat([cipher.update(value, "utf8"), cipher.final()]);
    return Buffer.concat([Buffer.of(VERSION), nonce, sealed, cipher.getAuthTag()]);
  }

  /** Undefined when it is not what this key has written under that name. */
  #decrypt(name: string, sealed: Buffer): string | undefined {
    if (sealed[0] !== VERSION || sealed.length < HEAD + TAG) return undefined;
    const nonce = sealed.subarray(1, HEAD);
    const decipher = createDecipheriv("aes-256-gcm", this.#key, nonce, { authTagLength: TAG });
    decipher.setAAD(Buffer.from(name));
    decipher.setAuthTag(sealed.subarray(-TAG));
    try {
      const value = decipher.update(sealed.subarray(HEAD, -TAG));
      return Buffer.concat([value, decipher.final()]).toString("utf8");
    } catch {
      return undefined;
    }
  }

  async #open(name: string, sealed: Buffer, mend = false): Promise<string | undefined> {
    const value = this.#decrypt(name, sealed);
    if (value !== undefined) return value;
    if (!(await this.#isOurs())) throw wrongKey();
    if (!mend) throw damaged(name);
    return undefined;
  }

  async #isOurs(): Promise<boolean> {
    const sealed = await this.#redis.getBuffer(keys.vaultCheck);
    return sealed !== null && this.#decrypt(CHECK, sealed) === CHECK;
  }
}

function wrongKey(): AppError {
  return new AppError(
    "The store in Redis was written with another CERTHERD_STORE_KEY than this host has; give this host the key of the others.",
    { code: "store_key_wrong", disposition: "usage" },
  );
}

export function isDamaged(error: unknown): boolean {
  return error instanceof AppError && error.code === DAMAGED;
}

function damaged(name: string): AppError {
  return new AppError(
    `The entry "${name}" of the store in Redis is not what was written under that name, and this host has no files to write it again from; start certherd on the host that has them, or delete ${keys.vault(name)}.`,
    { code: DAMAGED, disposition: "attention" },
  );
}
