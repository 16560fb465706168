import { unlink } from "node:fs/promises";
import { join } from "node:path";
import type { HaproxyTarget } from "../../../config/terminations.ts";
import { AppError, asAppError } from "../../../core/errors.ts";
import { isCode, makeFolder, onDisk, SECRET_FILE, syncFolder } from "../../../store/atomic.ts";
import { readText } from "../../../store/disk.ts";
import { fileStem } from "../../../store/layout.ts";
import type { Bundle, Examined, Failures, Removal, Target } from "../../target.ts";
import { CrtListFile } from "./crt-list.ts";
import { examineHaproxy } from "./examine.ts";
import { stageFile } from "./replace.ts";
import { notInUse, Runtime, sizeOf } from "./runtime.ts";

/** Serves certificates by HAProxy, over its runtime socket and without a reload, and keeps the same on disk. */
export function createHaproxyTarget(config: HaproxyTarget): Target {
  return new Haproxy(config);
}

/**
 * The runtime comes first, then the files, then the crt-list. What HAProxy refuses never gets to disk, where it would
 * keep HAProxy from starting again, as would a line of the crt-list without its file. What a crash leaves behind in
 * between is mended by the same batch when it comes again, as each part is compared by itself.
 */
class Haproxy implements Target {
  readonly batch = 100;
  readonly gather = 20;
  readonly #config: HaproxyTarget;
  readonly #crtList: CrtListFile;

  constructor(config: HaproxyTarget) {
    this.#config = config;
    this.#crtList = new CrtListFile(config.crtList);
  }

  async rest(): Promise<number> {
    return 0;
  }

  async put(bundles: readonly Bundle[]): Promise<Failures> {
    const failures = new Map<string, AppError>();
    await this.#with(async (runtime) => {
      const limit = await runtime.buffer();
      const fitting = bundles.filter((bundle) => {
        const error = this.#tooLarge(bundle, limit);
        if (error) failures.set(bundle.id, error);
        return error === undefined;
      });
      await this.#clearTransaction(runtime);
      const listed = new Listed(runtime, this.#crtList, this.#config.crtList);
      const taken: Bundle[] = [];
      for (const bundle of fitting) {
        try {
          await this.#putOne(runtime, listed, bundle);
          taken.push(bundle);
        } catch (thrown) {
          failures.set(bundle.id, onlyThisOne(thrown));
        }
      }
      await this.#toDisk(taken);
    });
    return failures;
  }

  async remove(removals: readonly Removal[]): Promise<Failures> {
    const failures = new Map<string, AppError>();
    await this.#with(async (runtime) => {
      await this.#clearTransaction(runtime);
      const gone: string[] = [];
      for (const { id } of removals) {
        const file = this.#file(id);
        try {
          await runtime.unlist(this.#config.crtList, file);
          await runtime.forget(file);
          gone.push(file);
        } catch (thrown) {
          failures.set(id, onlyThisOne(thrown));
        }
      }
      await this.#crtList.remove(gone);
      for (const file of gone) await unlinkIfThere(file);
      if (gone.length > 0) await syncFolder(this.#config.certDir).catch(() => undefined);
    });
    return failures;
  }

  examine(): AsyncIterable<Examined> {
    return examineHaproxy(this.#config);
  }

  async close(): Promise<void> {
    // Each batch has a connection of its own.
  }

  async #with(work: (runtime: Runtime) => Promise<void>): Promise<void> {
    const { socket, timeout, crtList } = this.#config;
    const runtime = await Runtime.open(socket, timeout);
    try {
      const known = await runtime.crtLists();
      if (!known.includes(crtList)) throw notInUse(crtList, known);
      await work(runtime);
    } finally {
      runtime.close();
    }
  }

  async #putOne(runtime: Runtime, listed: Listed, bundle: Bundle): Promise<void> {
    const file = this.#file(bundle.id);
    const before = await runtime.loaded(file);
    const isNew = before.kind !== "loaded";
    if (before.kind === "unknown") await runtime.create(file);
    try {
      if (isNew || before.serial !== bundle.serial) await runtime.replace(file, pemOf(bundle));
    } catch (error) {
      if (isNew) await runtime.forget(file).catch(() => undefined);
      throw error;
    }
    const isListed = !isNew && before.used && (await listed.has(file));
    if (!isListed) await runtime.list(this.#config.crtList, file, this.#config.options);
  }

  /** Somebody's who is at it, by hand or by another program, is left alone. */
  async #clearTransaction(runtime: Runtime): Promise<void> {
    const file = await runtime.transaction();
    if (file === undefined) return;
    if (!file.startsWith(`${this.#config.certDir}/`))
      throw new AppError(
        `Somebody has begun to change ${file} in HAProxy, which can do one change at a time: commit or abort that (commit ssl cert, abort ssl cert).`,
        { code: "node_busy", disposition: "unavailable" },
      );
    await runtime.abort(file);
  }

  async #toDisk(bundles: readonly Bundle[]): Promise<void> {
    if (bundles.length === 0) return;
    const { certDir, options } = this.#config;
    await makeFolder(certDir);
    await onDisk(certDir, async () => {
      let written = 0;
      for (const bundle of bundles) {
        const [file, pem] = [this.#file(bundle.id), pemOf(bundle)];
        if ((await readText(file)) === pem) continue;
        await stageFile(file, pem, SECRET_FILE);
        written++;
      }
      if (written > 0) await syncFolder(certDir);
    });
    await this.#crtList.add(
      bundles.map(({ id }) => this.#file(id)),
      options,
    );
  }

  #tooLarge(bundle: Bundle, limit: number): AppError | undefined {
    const size = sizeOf(this.#file(bundle.id), pemOf(bundle));
    if (size < limit) return undefined;
    const needed = 2 ** Math.ceil(Math.log2(size + 1));
    return new AppError(
      `The certificate with its chain and key has ${size} bytes, and HAProxy takes less than ${limit} over its runtime socket. Set "tune.bufsize ${needed}" in its global section and restart it, or use an EC key, a shorter chain or fewer names.`,
      { code: "bundle_too_large", disposition: "attention" },
    );
  }

  /** The id has `_` for `*`, which HAProxy would not take at the beginning of a file's name. */
  #file(id: string): string {
    return join(this.#config.certDir, `${fileStem(id)}.pem`);
  }
}

/** Whether the crt-list has a file in memory. Looked up there once for a batch, and only where the disk cannot tell. */
class Listed {
  readonly #runtime: Runtime;
  readonly #onDisk: CrtListFile;
  readonly #crtList: string;
  #inMemory: Set<string> | undefined;

  constructor(runtime: Runtime, onDisk: CrtListFile, crtList: string) {
    this.#runtime = runtime;
    this.#onDisk = onDisk;
    this.#crtList = crtList;
  }

  /** Of a file that HAProxy uses: where our line is on disk that is why; else another list or `crt` may have it. */
  async has(file: string): Promise<boolean> {
    if (await this.#onDisk.has(file)) return true;
    this.#inMemory ??= await this.#runtime.listed(this.#crtList);
    return this.#inMemory.has(file);
  }
}

function pemOf({ keyPem, leafPem, issuersPem }: Bundle): string {
  return `${[leafPem, issuersPem, keyPem].map((pem) => pem.trim()).join("\n")}\n`;
}

/** What is about the node as a whole ends the batch. */
function onlyThisOne(thrown: unknown): AppError {
  const error = asAppError(thrown);
  if (error.code === "target_refused") return error;
  throw error;
}

async function unlinkIfThere(path: string): Promise<void> {
  await onDisk(path, async () => {
    await unlink(path).catch((error: unknown) => {
      if (!isCode(error, "ENOENT")) throw error;
    });
  });
}
