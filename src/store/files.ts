import { opendir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { RenewalState } from "../core/certificate.ts";
import {
  createAtomic,
  isCode,
  makeFolder,
  onDisk,
  PUBLIC_FILE,
  SECRET_FILE,
  syncFolder,
  writeAtomic,
  writeStaged,
} from "./atomic.ts";
import { exists, json, readJson, readText, removeFolder } from "./disk.ts";
import {
  archiveName,
  type CertificateFile,
  fileStem,
  leafNames,
  type SetPaths,
  type StoredBundle,
  setPaths,
} from "./layout.ts";
import { nextIn, placeStaged, readPrevious, readSet } from "./placing.ts";

export {
  type CertificateFile,
  certificateFile,
  fileStem,
  type Provenance,
  type StoredBundle,
} from "./layout.ts";

export interface PendingOrder {
  generation: number;
  orderUrl: string;
  ca: string;
  /** What it need not pay for, as it was asked for. */
  exemption?: "none" | "renewal" | "ari";
}

/** `renewal.json`: written when the CA has suggested something else, which is not often. Milliseconds since the epoch. */
export interface KeptPlan {
  /** Of the leaf that it is about; that of another one means nothing. */
  serial: string;
  renewAt: number;
  schedule: RenewalState;
}

export interface IssuedFiles {
  leafPem: string;
  /** The issuers' certificates, leaf's issuer first. */
  issuersPem: string;
  file: CertificateFile;
}

/**
 * The certificates on disk, in acme.sh's layout, one folder each. What is being obtained stands in its subfolder
 * `.next` (order, key, then the whole set), and moves out of it only when it is complete: `certificate.json` is
 * staged last and moved last, so that after a crash it tells whether the set is to be moved or thrown away. The set that
 * it replaces is kept in the subfolder `previous`.
 */
export class CertificateFiles {
  readonly root: string;
  readonly #archive: string;

  constructor(home: string) {
    this.root = join(home, "certificates");
    this.#archive = join(home, "archive");
  }

  folder(id: string): string {
    return join(this.root, fileStem(id));
  }

  /** Paths as a deploy target or a person needs them. */
  paths(id: string): SetPaths & { json: string; plan: string } {
    const folder = this.folder(id);
    return {
      ...setPaths(folder, fileStem(id)),
      json: join(folder, "certificate.json"),
      plan: join(folder, "renewal.json"),
    };
  }

  /** A set that a crash left complete in `.next` is moved into place first: its key may stand there already. */
  async read(id: string): Promise<CertificateFile | undefined> {
    await placeStaged(this.folder(id), fileStem(id));
    return await readJson<CertificateFile>(this.paths(id).json);
  }

  /** The certificate with its key, as deployed; undefined where there is none, or its key is gone. */
  async bundle(id: string): Promise<StoredBundle | undefined> {
    const [folder, stem] = [this.folder(id), fileStem(id)];
    const { json: path } = this.paths(id);
    for (;;) {
      await placeStaged(folder, stem);
      const file = await readJson<CertificateFile>(path);
      if (!file?.leaf) return undefined;
      const set = await readSet(folder, stem);
      // A new set may have been moved into place in the middle: what was read is then of both.
      const after = await readJson<CertificateFile>(path);
      const moving = await exists(join(this.#next(id), "certificate.json"));
      if (moving || after?.leaf?.serial !== file.leaf.serial) continue;
      return set && { id, names: leafNames(file, set.leafPem), serial: file.leaf.serial, ...set };
    }
  }

  /** The certificate that the present one has replaced. */
  async previousBundle(id: string): Promise<StoredBundle | undefined> {
    await placeStaged(this.folder(id), fileStem(id));
    return await readPrevious(this.folder(id), fileStem(id), id);
  }

  /** Every certificate on disk; a set that a crash left complete in `.next` is moved into place first. */
  async *all(): AsyncGenerator<CertificateFile> {
    let folders: Awaited<ReturnType<typeof opendir>>;
    try {
      folders = await opendir(this.root);
    } catch (error) {
      if (isCode(error, "ENOENT")) return;
      throw error;
    }
    for await (const entry of folders) {
      if (!entry.isDirectory()) continue;
      await placeStaged(join(this.root, entry.name), entry.name);
      const file = await readJson<CertificateFile>(join(this.root, entry.name, "certificate.json"));
      if (file) yield file;
    }
  }

  /** Records where a certificate stands that has no new leaf: a failure, say. */
  async saveState(id: string, file: CertificateFile): Promise<void> {
    await writeAtomic(this.paths(id).json, json(file), PUBLIC_FILE);
  }

  /** When the leaf that is there is to be renewed, as it was chosen. */
  async savePlan(id: string, plan: KeptPlan): Promise<void> {
    const { json: path, plan: planPath } = this.paths(id);
    if (await exists(path)) await writeAtomic(planPath, json(plan), PUBLIC_FILE);
  }

  async plan(id: string): Promise<KeptPlan | undefined> {
    return await readJson<KeptPlan>(this.paths(id).plan);
  }

  async pendingOrder(id: string): Promise<PendingOrder | undefined> {
    return await readJson<PendingOrder>(join(this.#next(id), "order.json"));
  }

  async savePendingOrder(id: string, order: PendingOrder): Promise<void> {
    await writeAtomic(join(this.#next(id), "order.json"), json(order), SECRET_FILE);
  }

  /**
   * The key of the order in hand: made once, and the same for whoever comes back to that order, as it is on disk
   * before the CA is asked to certify it.
   */
  async pendingKey(id: string, generate: () => Promise<string>): Promise<string> {
    const path = join(this.#next(id), "key.pem");
    const pem = await generate();
    if (await createAtomic(path, pem, SECRET_FILE)) return pem;
    return (await readText(path)) ?? pem;
  }

  async existingPendingKey(id: string): Promise<string | undefined> {
    return await readText(join(this.#next(id), "key.pem"));
  }

  async discardPending(id: string): Promise<void> {
    await removeFolder(this.#next(id));
  }

  /** Puts a new leaf with its key into place. */
  async commit(id: string, issued: IssuedFiles): Promise<void> {
    const next = this.#next(id);
    await Promise.all([
      writeStaged(join(next, "cert.pem"), issued.leafPem, PUBLIC_FILE),
      writeStaged(join(next, "ca.pem"), issued.issuersPem, PUBLIC_FILE),
      writeStaged(join(next, "fullchain.pem"), issued.leafPem + issued.issuersPem, PUBLIC_FILE),
    ]);
    // Last, and as a whole: from here on the set is complete. Its rename makes the others' names durable too.
    await writeAtomic(join(next, "certificate.json"), json(issued.file), PUBLIC_FILE);
    await placeStaged(this.folder(id), fileStem(id));
  }

  /** Moves a complete set into place that a process which died has left staged. */
  async finishCommit(id: string): Promise<void> {
    await placeStaged(this.folder(id), fileStem(id));
  }

  /**
   * Moves a certificate's folder away, with all that is in it: to `archive/<stem>-<yyyymmddThhmmssZ>/`. Returns where;
   * undefined when there was none. `at` in milliseconds since the epoch.
   */
  async archive(id: string, at: number): Promise<string | undefined> {
    await placeStaged(this.folder(id), fileStem(id));
    await makeFolder(this.#archive);
    return await onDisk(this.#archive, async () => {
      // Twice within a second is rare, and costs neither of them.
      for (let turn = 1; ; turn++) {
        const to = join(this.#archive, archiveName(id, at) + (turn === 1 ? "" : `-${turn}`));
        try {
          await rename(this.folder(id), to);
        } catch (error) {
          if (isCode(error, "ENOENT")) return undefined;
          if (isCode(error, "ENOTEMPTY") || isCode(error, "EEXIST")) continue;
          throw error;
        }
        await syncFolder(this.#archive);
        await syncFolder(this.root);
        return to;
      }
    });
  }

  #next(id: string): string {
    return nextIn(this.folder(id));
  }
}
