import { createHash } from "node:crypto";
import { opendir, readdir, readFile, rename, rmdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type {
  CertificateRecord,
  CertificateSpec,
  CertificateState,
  IssuedLeaf,
} from "../core/certificate.ts";
import {
  createAtomic,
  isCode,
  PUBLIC_FILE,
  SECRET_FILE,
  syncFolder,
  writeAtomic,
  writeStaged,
} from "./atomic.ts";

/** Where a leaf comes from: with the spec, all that its renewal needs. */
export interface Provenance {
  ca: string;
  directory: string;
  orderUrl: string;
}

/** `certificate.json`: written when a certificate settles, and what the index is rebuilt from. */
export interface CertificateFile extends CertificateState {
  version: 1;
  name: string;
  spec: CertificateSpec;
  generation: number;
  acceptedAt: number;
  importId?: string;
  leaf?: IssuedLeaf;
  provenance?: Provenance;
}

export interface PendingOrder {
  generation: number;
  orderUrl: string;
  ca: string;
}

export interface IssuedFiles {
  leafPem: string;
  /** The issuers' certificates, leaf's issuer first. */
  issuersPem: string;
  file: CertificateFile;
}

/** NAME_MAX is 255 bytes, and a name may have 253: the longest lose their tail to a hash. */
export function fileStem(id: string): string {
  if (id.length <= 240) return id;
  return `${id.slice(0, 200)}-${createHash("sha256").update(id).digest("hex").slice(0, 32)}`;
}

/**
 * The certificates on disk, in acme.sh's layout, one folder each. What is being obtained stands in its subfolder
 * `.next` (order, key, then the whole set), and moves out of it only when it is complete: `certificate.json` is
 * staged last and moved last, so that after a crash it tells whether the set is to be moved or thrown away.
 */
export class CertificateFiles {
  readonly root: string;

  constructor(home: string) {
    this.root = join(home, "certificates");
  }

  folder(id: string): string {
    return join(this.root, fileStem(id));
  }

  /** Paths as a deploy target or a person needs them. */
  paths(id: string): { cert: string; key: string; ca: string; fullchain: string; json: string } {
    const [folder, stem] = [this.folder(id), fileStem(id)];
    return {
      cert: join(folder, `${stem}.cer`),
      key: join(folder, `${stem}.key`),
      ca: join(folder, "ca.cer"),
      fullchain: join(folder, "fullchain.cer"),
      json: join(folder, "certificate.json"),
    };
  }

  /** A set that a crash left complete in `.next` is moved into place first: its key may stand there already. */
  async read(id: string): Promise<CertificateFile | undefined> {
    await this.#rollForward(this.folder(id), fileStem(id));
    return await readJson<CertificateFile>(this.paths(id).json);
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
      await this.#rollForward(join(this.root, entry.name), entry.name);
      const file = await readJson<CertificateFile>(join(this.root, entry.name, "certificate.json"));
      if (file) yield file;
    }
  }

  /** Records where a certificate stands that has no new leaf: a failure, say. */
  async saveState(id: string, file: CertificateFile): Promise<void> {
    await writeAtomic(this.paths(id).json, json(file), PUBLIC_FILE);
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
    await this.finishCommit(id);
  }

  /** Moves a complete set into place that a process which died has left staged. */
  async finishCommit(id: string): Promise<void> {
    await this.#rollForward(this.folder(id), fileStem(id));
  }

  async #rollForward(folder: string, stem: string): Promise<void> {
    const next = join(folder, ".next");
    if (!(await exists(join(next, "certificate.json")))) return;
    const moves: [string, string][] = [
      ["key.pem", `${stem}.key`],
      ["cert.pem", `${stem}.cer`],
      ["ca.pem", "ca.cer"],
      ["fullchain.pem", "fullchain.cer"],
      ["certificate.json", "certificate.json"],
    ];
    for (const [from, to] of moves) await moveIfThere(join(next, from), join(folder, to));
    await syncFolder(folder);
    await removeFolder(next);
  }

  #next(id: string): string {
    return join(this.folder(id), ".next");
  }
}

/** The part of a record that goes to disk. */
export function certificateFile(record: CertificateRecord, provenance?: Provenance): CertificateFile {
  const { id: _, orderUrl: __, ...rest } = record;
  return {
    version: 1,
    name: record.spec.names[0] ?? "",
    ...rest,
    ...(provenance === undefined ? {} : { provenance }),
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** A file that is no JSON was not written by us: it is left alone and counts as missing. */
async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** A folder of plain files, which may be gone. */
async function removeFolder(folder: string): Promise<void> {
  try {
    for (const name of await readdir(folder)) await unlink(join(folder, name));
    await rmdir(folder);
  } catch (error) {
    if (!isCode(error, "ENOENT")) throw error;
  }
}

async function moveIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!isCode(error, "ENOENT")) throw error;
  }
}
