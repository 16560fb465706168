import { readJson } from "./disk.ts";
import { type CertificateFile, CertificateFiles, type IssuedFiles, type PendingOrder } from "./files.ts";
import { compareFiles, fileStem, idOf, leafTime, type StoredBundle } from "./layout.ts";
import { writePrevious } from "./placing.ts";
import type { SharedRemovals } from "./shared-removals.ts";
import { isDamaged, type Vault } from "./vault.ts";
import { type Entry, VaultEntries } from "./vault-entries.ts";

/** Certificates compared with the vault at once, where all of them are. */
const AT_ONCE = 32;

/**
 * The certificates of several hosts: on each host's disk, and in the vault that they have in common. Every host has a
 * copy of what it has to do with, as the files are what is left when Redis is lost. Whichever of disk and vault tells
 * the newer story is copied to the other one; where they tell of the same order, the vault does.
 */
export class SharedCertificateFiles extends CertificateFiles {
  readonly #vault: VaultEntries;
  readonly #removals: SharedRemovals;
  /** By the certificate's id: the last of those in this process that compare or write its files. */
  readonly #lines = new Map<string, Promise<unknown>>();

  constructor(home: string, vault: Vault, removals: SharedRemovals) {
    super(home);
    this.#vault = new VaultEntries(vault);
    this.#removals = removals;
  }

  override async read(id: string): Promise<CertificateFile | undefined> {
    await this.#inLine(id, () => this.#equalize(id));
    return await super.read(id);
  }

  override async bundle(id: string): Promise<StoredBundle | undefined> {
    await this.#inLine(id, () => this.#equalize(id));
    return await super.bundle(id);
  }

  override async previousBundle(id: string): Promise<StoredBundle | undefined> {
    await this.#inLine(id, () => this.#equalize(id));
    return await super.previousBundle(id);
  }

  /** Those on this host's disk, as they stand after a look into the vault; so an emptied vault is filled again. */
  override async *all(): AsyncGenerator<CertificateFile> {
    let ids: string[] = [];
    for await (const local of super.all()) {
      if (ids.push(idOf(local)) < AT_ONCE) continue;
      yield* await this.#readAll(ids);
      ids = [];
    }
    yield* await this.#readAll(ids);
  }

  async #readAll(ids: readonly string[]): Promise<CertificateFile[]> {
    const files = await Promise.all(ids.map((id) => this.read(id)));
    return files.filter((file) => file !== undefined);
  }

  /** The vault first: other hosts take it from there. */
  override async saveState(id: string, file: CertificateFile): Promise<void> {
    await this.#inLine(id, async () => {
      const at = await this.#removals.at(id);
      if (at !== undefined && isOlder(file, at)) return;
      // Another host may have obtained a certificate meanwhile: then what is told here is of the one before.
      const isLate = (entry: Entry | undefined) => entry && leafTime(entry.file) > leafTime(file);
      const told = (before: Entry | undefined): Entry =>
        before && isLate(before) ? before : { ...before, file };
      const stands = await this.#vault.change(id, told).catch((error: unknown) => {
        if (!isDamaged(error)) throw error;
        return "damaged" as const;
      });
      // The host that has its files writes it again; until then the index tells where it stands.
      if (stands === "damaged") return;
      if (isLate(stands)) await this.#equalize(id);
      else await super.saveState(id, file);
    });
  }

  override async pendingOrder(id: string): Promise<PendingOrder | undefined> {
    return (await this.#vault.pendingOrder(id)) ?? (await super.pendingOrder(id));
  }

  override async savePendingOrder(id: string, order: PendingOrder): Promise<void> {
    await this.#vault.savePendingOrder(id, order);
    await super.savePendingOrder(id, order);
  }

  override async pendingKey(id: string, generate: () => Promise<string>): Promise<string> {
    const made = (await this.existingPendingKey(id)) ?? (await generate());
    const pem = await this.#vault.offerPendingKey(id, made);
    await this.#inLine(id, () => this.#keepPendingKey(id, pem));
    return pem;
  }

  /**
   * The vault's; where it has none, as Redis was lost, one on this disk that was made for the order in hand. What lies
   * here of an order that another host has given up since is no good.
   */
  override async existingPendingKey(id: string): Promise<string | undefined> {
    const pem = await this.#vault.pendingKey(id);
    if (pem !== undefined) return pem;
    const order = await this.#vault.pendingOrder(id);
    const local = await super.pendingOrder(id);
    if (order !== undefined && order.orderUrl !== local?.orderUrl) return undefined;
    return await super.existingPendingKey(id);
  }

  override async discardPending(id: string): Promise<void> {
    await this.#vault.discardPending(id);
    await this.#inLine(id, () => super.discardPending(id));
  }

  /**
   * The disk first, then the vault, and only then is the pending key let go of: a host that dies in between leaves all
   * that another one needs to do it again.
   */
  override async commit(id: string, issued: IssuedFiles): Promise<void> {
    await this.#inLine(id, async () => {
      // What is replaced may have come from another host.
      await this.#equalize(id);
      const key = await this.#vault.pendingKey(id);
      if (key !== undefined) await this.#keepPendingKey(id, key);
      // Another host, where this one was thought dead, was quicker, and has let go of the key: its set stands.
      else if (!(await super.existingPendingKey(id)) && (await super.bundle(id))) return;
      await super.commit(id, issued);
      await this.#removals.revoke(id);
      await this.#publish(id);
      await this.#vault.discardPending(id);
    });
  }

  override async finishCommit(id: string): Promise<void> {
    await this.read(id);
  }

  /**
   * Writes again from the vault what is gone or damaged on this disk; in a dry run only looks whether it could. False
   * where the vault does not have it, or has an older one than this disk tells of.
   */
  async recover(id: string, dryRun: boolean): Promise<boolean> {
    return await this.#inLine(id, async () => {
      const entry = await this.#vault.entry(id).catch((error: unknown) => {
        if (isDamaged(error)) return undefined;
        throw error;
      });
      const local = await readJson<CertificateFile>(this.paths(id).json);
      if (entry?.present === undefined || (local && leafTime(local) > leafTime(entry.file))) return false;
      if (!dryRun) await this.#copy(id, entry, undefined);
      return true;
    });
  }

  override async archive(id: string, at: number): Promise<string | undefined> {
    return await this.#inLine(id, async () => {
      await this.#removals.announce(id, at);
      await this.#vault.forget(id);
      return await super.archive(id, at);
    });
  }

  /** Does here too what other hosts have archived since the last look. Returns how many certificates that were. */
  async catchUp(): Promise<number> {
    const news = await this.#removals.news();
    for (const [id, at] of news) await this.#inLine(id, () => this.#archiveHere(id, at));
    return news.length;
  }

  /** Noted first: what was once asked for is in this host's imports, and must not come back out of them. */
  async #archiveHere(id: string, at: number): Promise<void> {
    await this.#removals.noteHere(id, at);
    const local = await super.read(id);
    if (local && isOlder(local, at)) await super.archive(id, at);
  }

  async #equalize(id: string): Promise<void> {
    const local = await super.read(id);
    const entry = await this.#entry(id, local !== undefined);
    if (!entry) {
      if (!local) return;
      const at = await this.#removals.at(id);
      return at !== undefined && isOlder(local, at)
        ? await this.#archiveHere(id, at)
        : await this.#publish(id);
    }
    const order = local ? compareFiles(entry.file, local) : 1;
    if (order < 0) await this.#publish(id);
    else if (JSON.stringify(entry.file) !== JSON.stringify(local)) await this.#copy(id, entry, local);
  }

  /** A damaged one is written again from this disk, where that can be done; an older story gives way to a newer one later. */
  async #entry(id: string, isHere: boolean): Promise<Entry | undefined> {
    try {
      return await this.#vault.entry(id);
    } catch (error) {
      if (!isHere || !isDamaged(error)) throw error;
      await this.#publish(id);
      return await this.#vault.entry(id);
    }
  }

  /** From the disk into the vault, unless something newer has come there. */
  async #publish(id: string): Promise<void> {
    const file = await super.read(id);
    if (!file) return;
    const [present, previous] = [await super.bundle(id), await super.previousBundle(id)];
    const change = (before: Entry | undefined): Entry => {
      if (before && compareFiles(before.file, file) > 0) return before;
      const same = before?.present?.serial === file.leaf?.serial;
      // Its key may have gone from this disk.
      const stands = present ?? (same ? before?.present : undefined);
      const replaced = same ? (before?.previous ?? previous) : (previous ?? before?.present);
      return {
        file,
        ...(stands === undefined ? {} : { present: stands }),
        ...(replaced === undefined ? {} : { previous: replaced }),
      };
    };
    await this.#vault.change(id, change, { mend: true });
  }

  /** From the vault to the disk. */
  async #copy(id: string, entry: Entry, local: CertificateFile | undefined): Promise<void> {
    const { file, present, previous } = entry;
    if (present === undefined || present.serial === local?.leaf?.serial)
      return await super.saveState(id, file);
    await super.discardPending(id);
    await super.pendingKey(id, async () => present.keyPem);
    await super.commit(id, { leafPem: present.leafPem, issuersPem: present.issuersPem, file });
    if (previous && previous.serial !== local?.leaf?.serial)
      await writePrevious(this.folder(id), fileStem(id), previous);
  }

  async #keepPendingKey(id: string, pem: string): Promise<void> {
    await super.finishCommit(id);
    if ((await super.pendingKey(id, async () => pem)) === pem) return;
    await super.discardPending(id);
    const order = await this.#vault.pendingOrder(id);
    if (order !== undefined) await super.savePendingOrder(id, order);
    await super.pendingKey(id, async () => pem);
  }

  /** One after the other for each certificate, within this process. */
  async #inLine<T>(id: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#lines.get(id) ?? Promise.resolve()).then(work, work);
    this.#lines.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.#lines.get(id) === mine) this.#lines.delete(id);
    }
  }
}

/** It was asked for, and obtained, before that moment. */
function isOlder(file: CertificateFile, at: number): boolean {
  return file.acceptedAt <= at && leafTime(file) <= at;
}
