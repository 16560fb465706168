import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createAtomic, makeFolder, PUBLIC_FILE, SECRET_FILE, writeAtomic } from "./atomic.ts";
import { moveIfThere, readText } from "./disk.ts";

/** `account.json`: what is known of an account beside its key. */
export interface AccountFile {
  directory: string;
  url: string;
  contact: string[];
  registeredAt: string;
  /** The terms of service that were agreed to; missing in files of earlier versions. */
  terms?: { url: string; agreedAt: string };
  /** Of the external account that it is bound to. */
  eabKid?: string;
}

/** The CA accounts on disk: `accounts/<ca>/account.key` and `account.json`. */
export class AccountFiles {
  readonly #root: string;

  constructor(home: string) {
    this.#root = join(home, "accounts");
  }

  keyPath(ca: string): string {
    return join(this.#root, ca, "account.key");
  }

  /** The account's key; made once, whoever of several processes comes first. */
  async key(ca: string, generate: () => Promise<string>): Promise<string> {
    const path = this.keyPath(ca);
    const existing = await this.existingKey(ca);
    if (existing) return existing;
    await makeFolder(join(this.#root, ca));
    const pem = await generate();
    if (await createAtomic(path, pem, SECRET_FILE)) return pem;
    return (await readText(path)) ?? pem;
  }

  /** The account's key, if there is one; none is made. */
  async knownKey(ca: string): Promise<string | undefined> {
    return await this.existingKey(ca);
  }

  /** The CAs of which anything is kept on this host, in alphabetical order. */
  async known(): Promise<string[]> {
    const entries = await readdir(this.#root, { withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  }

  protected async existingKey(ca: string): Promise<string | undefined> {
    return (await readText(this.keyPath(ca))) || undefined;
  }

  /** Makes room for another key: this one is kept beside it, under the moment at which it was set aside. */
  protected async setAside(ca: string): Promise<void> {
    await rm(join(this.#root, ca, "account.json"), { force: true });
    const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    await moveIfThere(this.keyPath(ca), join(this.#root, ca, `account-${stamp}.key`));
  }

  async load(ca: string): Promise<AccountFile | undefined> {
    const text = await readText(join(this.#root, ca, "account.json"));
    return text === undefined ? undefined : (JSON.parse(text) as AccountFile);
  }

  async save(ca: string, account: AccountFile): Promise<void> {
    await makeFolder(join(this.#root, ca));
    await writeAtomic(
      join(this.#root, ca, "account.json"),
      `${JSON.stringify(account, undefined, 2)}\n`,
      PUBLIC_FILE,
    );
  }

  /** Forgets the account's URL; its key stays. */
  async forget(ca: string): Promise<void> {
    await rm(join(this.#root, ca, "account.json"), { force: true });
  }
}
