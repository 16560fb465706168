import { type AccountFile, AccountFiles } from "./accounts.ts";
import type { Vault } from "./vault.ts";

/**
 * One account for each CA over several hosts: whoever comes first brings its key, and every host has a copy on its disk,
 * from which the vault is filled again when Redis is lost.
 */
export class SharedAccountFiles extends AccountFiles {
  readonly #vault: Vault;

  constructor(home: string, vault: Vault) {
    super(home);
    this.#vault = vault;
  }

  override async key(ca: string, generate: () => Promise<string>): Promise<string> {
    const name = keyName(ca);
    const own = await this.existingKey(ca);
    const stands =
      (await this.#vault.get(name)) ?? (await this.#vault.putIfAbsent(name, own ?? (await generate())));
    if (own === stands) return stands;
    // An account that this host had of its own: it is used no more, and its key is not thrown away.
    if (own !== undefined) await this.setAside(ca);
    return await super.key(ca, async () => stands);
  }

  override async knownKey(ca: string): Promise<string | undefined> {
    return (await this.#vault.get(keyName(ca))) ?? (await super.knownKey(ca));
  }

  override async load(ca: string): Promise<AccountFile | undefined> {
    const text = await this.#vault.get(fileName(ca));
    const local = await super.load(ca);
    if (text !== undefined) {
      const shared = JSON.parse(text) as AccountFile;
      if (JSON.stringify(local) !== JSON.stringify(shared)) await super.save(ca, shared);
      return shared;
    }
    if (local === undefined) return undefined;
    const key = await this.#vault.get(keyName(ca));
    // The URL on this disk is of the key on this disk.
    if (key === undefined || key !== (await this.existingKey(ca)))
      return key === undefined ? local : undefined;
    return JSON.parse(await this.#vault.putIfAbsent(fileName(ca), JSON.stringify(local))) as AccountFile;
  }

  override async save(ca: string, account: AccountFile): Promise<void> {
    await this.#vault.put(fileName(ca), JSON.stringify(account));
    await super.save(ca, account);
  }

  override async forget(ca: string): Promise<void> {
    await super.forget(ca);
    await this.#vault.delete(fileName(ca));
  }
}

function keyName(ca: string): string {
  return `account-key/${ca}`;
}

function fileName(ca: string): string {
  return `account/${ca}`;
}
