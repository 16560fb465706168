import type { PendingOrder } from "./files.ts";
import type { CertificateFile, StoredBundle } from "./layout.ts";
import type { Vault } from "./vault.ts";

/** What the vault holds of one certificate, in one entry, so that it is always of one moment. */
export interface Entry {
  file: CertificateFile;
  present?: StoredBundle;
  previous?: StoredBundle;
}

/** Certificates, and what is being obtained, in the vault. */
export class VaultEntries {
  readonly #vault: Vault;

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  async entry(id: string): Promise<Entry | undefined> {
    return parsed<Entry>(await this.#vault.get(entryName(id)));
  }

  /** `change` may be called more than once; what it returns as it was is not written. Returns the entry that stands. */
  async change(
    id: string,
    change: (before: Entry | undefined) => Entry,
    options: { mend?: boolean } = {},
  ): Promise<Entry | undefined> {
    const write = (text: string | undefined): string | undefined => {
      const before = parsed<Entry>(text);
      const after = change(before);
      return after === before ? text : JSON.stringify(after);
    };
    const stands = await this.#vault.update(entryName(id), write, options);
    return parsed<Entry>(stands);
  }

  async pendingOrder(id: string): Promise<PendingOrder | undefined> {
    return parsed<PendingOrder>(await this.#vault.get(orderName(id)));
  }

  async savePendingOrder(id: string, order: PendingOrder): Promise<void> {
    await this.#vault.put(orderName(id), JSON.stringify(order));
  }

  async pendingKey(id: string): Promise<string | undefined> {
    return await this.#vault.get(keyName(id));
  }

  /** The key that stands: this one, or the one that another host has made before. */
  async offerPendingKey(id: string, pem: string): Promise<string> {
    return await this.#vault.putIfAbsent(keyName(id), pem);
  }

  async discardPending(id: string): Promise<void> {
    await this.#vault.delete(orderName(id), keyName(id));
  }

  async forget(id: string): Promise<void> {
    await this.#vault.delete(entryName(id), orderName(id), keyName(id));
  }
}

function parsed<T>(text: string | undefined): T | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as T);
}

function entryName(id: string): string {
  return `certificate/${id}`;
}

function orderName(id: string): string {
  return `order/${id}`;
}

function keyName(id: string): string {
  return `key/${id}`;
}
