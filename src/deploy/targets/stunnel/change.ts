import { link, readdir, readFile, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { StunnelTarget } from "../../../config/terminations.ts";
import {
  createAtomic,
  isCode,
  makeFolder,
  onDisk,
  PUBLIC_FILE,
  SECRET_FILE,
  syncFolder,
  writeStaged,
} from "../../../store/atomic.ts";
import { fileStem } from "../../../store/files.ts";
import type { Bundle } from "../../target.ts";

/** Files written and synced at once. */
const WRITES = 16;
const NEW = ".new";
const FORMER = ".former";

/**
 * Our files on the node: PEMs, and the file of services. What is to come, and what was there before, stands in a
 * subfolder of each folder: stunnel reads every file of its folder, hidden and temporary ones too, but no subfolder.
 *
 * The former file of services is there from before the first new file is put into place until stunnel is known to
 * have taken all of them. After a crash it tells that stunnel was perhaps not told, and it stays the one that is gone
 * back to, however many batches come until one is taken.
 */
export class NodeFiles {
  readonly #services: string;
  readonly #certDir: string;
  readonly #former: string;
  readonly #servicesWork: string;
  readonly #pemWork: string;

  constructor({ services, certDir }: StunnelTarget) {
    const work = `.certherd-${basename(services)}`;
    this.#services = services;
    this.#certDir = certDir;
    this.#servicesWork = join(dirname(services), work);
    this.#pemWork = join(certDir, work);
    this.#former = join(this.#servicesWork, "services.former");
  }

  /** Where nobody else writes, and stunnel does not look. */
  get work(): string {
    return this.#pemWork;
  }

  pem(id: string): string {
    return join(this.#certDir, `${fileStem(id)}.pem`);
  }

  staged(id: string): string {
    return join(this.#pemWork, `${fileStem(id)}${NEW}`);
  }

  async isPending(): Promise<boolean> {
    return (await readText(this.#former)) !== undefined;
  }

  /** Whether the PEM in use is this one. */
  async isCurrent(bundle: Bundle): Promise<boolean> {
    return (await readFile(this.pem(bundle.id), "utf8").catch(() => undefined)) === pemOf(bundle);
  }

  /** Writes PEMs beside those in use. */
  async stage(bundles: readonly Bundle[]): Promise<void> {
    await this.unstage();
    await makeFolder(this.#pemWork);
    for (let from = 0; from < bundles.length; from += WRITES)
      await Promise.all(
        bundles
          .slice(from, from + WRITES)
          .map((bundle) => writeStaged(this.staged(bundle.id), pemOf(bundle), SECRET_FILE)),
      );
    await syncFolder(this.#pemWork);
  }

  /** Removes what is staged and was not used. */
  async unstage(): Promise<void> {
    await this.#clear(NEW);
  }

  /** Puts the staged PEMs of these certificates, and then the services, into place; what was there is kept. */
  async replace(text: string, ids: readonly string[], empty: string): Promise<void> {
    await this.#keepFormer(ids, empty);
    const next = join(this.#servicesWork, "services.new");
    await writeStaged(next, text, PUBLIC_FILE);
    await onDisk(this.#certDir, async () => {
      for (const id of ids) await rename(this.staged(id), this.pem(id));
      if (ids.length > 0) await syncFolder(this.#certDir);
    });
    await onDisk(this.#services, async () => {
      await rename(next, this.#services);
      await syncFolder(dirname(this.#services));
    });
  }

  async #keepFormer(ids: readonly string[], empty: string): Promise<void> {
    // Those of a change that was finished, but for this.
    if (!(await this.isPending())) await this.#clear(FORMER);
    await createAtomic(this.#former, (await readText(this.#services)) ?? empty, PUBLIC_FILE);
    if (ids.length === 0) return;
    await onDisk(this.#pemWork, async () => {
      for (const id of ids)
        await link(this.pem(id), this.#formerPem(id)).catch((error: unknown) => {
          if (!isCode(error, "ENOENT") && !isCode(error, "EEXIST")) throw error;
        });
      await syncFolder(this.#pemWork);
    });
  }

  /** stunnel has taken it: what was before is not needed any more. */
  async settle(): Promise<void> {
    await onDisk(this.#former, async () => {
      await unlinkIfThere(this.#former);
      await syncFolder(this.#servicesWork);
    });
    await this.#clear(FORMER);
  }

  /** Puts the former PEMs and services back; the services last, as they tell that this is not done yet. */
  async giveBack(): Promise<void> {
    await onDisk(this.#services, async () => {
      for (const name of await listed(this.#pemWork))
        if (name.endsWith(FORMER))
          await rename(
            join(this.#pemWork, name),
            join(this.#certDir, `${name.slice(0, -FORMER.length)}.pem`),
          );
      await syncFolder(this.#certDir).catch(() => undefined);
      await rename(this.#former, this.#services);
      await syncFolder(dirname(this.#services));
    });
  }

  /** Removes PEM files; one that is not there is none too many. */
  async discard(paths: Iterable<string>): Promise<void> {
    const folders = new Set<string>();
    for (const path of paths)
      await onDisk(path, async () => {
        await unlinkIfThere(path);
        folders.add(dirname(path));
      });
    for (const folder of folders) await syncFolder(folder).catch(() => undefined);
  }

  async #clear(suffix: string): Promise<void> {
    await onDisk(this.#pemWork, async () => {
      for (const name of await listed(this.#pemWork))
        if (name.endsWith(suffix)) await unlinkIfThere(join(this.#pemWork, name));
    });
  }

  #formerPem(id: string): string {
    return join(this.#pemWork, `${fileStem(id)}${FORMER}`);
  }
}

function pemOf({ keyPem, leafPem, issuersPem }: Bundle): string {
  return keyPem + leafPem + issuersPem;
}

async function listed(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => []);
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!isCode(error, "ENOENT")) throw error;
  });
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}
