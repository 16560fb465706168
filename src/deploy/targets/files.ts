import { createHash } from "node:crypto";
import { access, constants, open, opendir, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { FilesTarget } from "../../config/terminations.ts";
import { AppError } from "../../core/errors.ts";
import { isCode, onDisk, SECRET_FILE, syncFolder, writeAtomic } from "../../store/atomic.ts";
import { exists, readText } from "../../store/disk.ts";
import { fileStem } from "../../store/layout.ts";
import {
  type Bundle,
  type Examined,
  type Failures,
  NO_FAILURES,
  type Removal,
  type Target,
} from "../target.ts";
import { examined } from "./examined.ts";
import { checkMayGive, misconfigured, type Ownership, ownership } from "./owner.ts";
import { findProgram, run } from "./run.ts";

/** Copies certificates into a folder, and has a program told of it once for a batch. */
export function createFilesTarget(config: FilesTarget): Target {
  return new Files(config);
}

class Files implements Target {
  readonly batch = 200;
  readonly gather = 20;
  readonly #config: FilesTarget;
  readonly #mode: number;
  /**
   * There from before the first change until the program was told of it: after a crash in between, nothing else would
   * tell that it still has to be. It begins with a dot, as what reads whole folders leaves such files alone.
   */
  readonly #untold: string;

  constructor(config: FilesTarget) {
    this.#config = config;
    this.#mode = Number.parseInt(config.mode, 8);
    this.#untold = join(config.folder, ".certherd-untold");
  }

  async rest(): Promise<number> {
    return 0;
  }

  async put(bundles: readonly Bundle[]): Promise<Failures> {
    if (bundles.length === 0) return NO_FAILURES;
    const owner = await this.#ready();
    const failures = new Map<string, AppError>();
    let changed = false;
    for (const bundle of bundles) {
      const other = await this.#clash(bundle.id);
      if (other !== undefined) failures.set(bundle.id, clashes(bundle, other));
      else
        for (const [name, content] of contents(bundle, this.#config.format)) {
          if (await this.#isCurrent(name, content, owner)) continue;
          await this.#changing();
          await this.#place(name, content, owner);
          changed = true;
        }
    }
    if (changed) await this.#synced();
    await this.#tell();
    return failures;
  }

  async remove(removals: readonly Removal[]): Promise<Failures> {
    if (removals.length === 0) return NO_FAILURES;
    await this.#folder();
    let changed = false;
    for (const { id } of removals) {
      // What it would have been has another's name then.
      if ((await this.#clash(id)) !== undefined) continue;
      for (const suffix of SUFFIXES[this.#config.format]) {
        const path = join(this.#config.folder, `${fileStem(id)}${suffix}`);
        if (!(await exists(path))) continue;
        await this.#changing();
        await onDisk(path, () => unlink(path).catch(unlessMissing));
        changed = true;
      }
    }
    if (changed) await this.#synced();
    await this.#tell();
    return NO_FAILURES;
  }

  async *examine(): AsyncGenerator<Examined> {
    const { folder, owner, group, reload } = this.#config;
    yield await examined("folder", async () => {
      await this.#folder();
      return `${folder} can be written to`;
    });
    if (owner !== undefined || group !== undefined)
      yield await examined("owner", async () => {
        const { uid, gid } = await ownership(owner, group);
        checkMayGive({ uid, gid }, owner);
        return `files go to user ${uid ?? "of this process"}, group ${gid ?? "of this process"}`;
      });
    const [program] = reload ?? [];
    if (program !== undefined) yield await examined("reload program", () => findProgram(program));
  }

  /** A key, or what holds one, tells of a certificate; hidden files are others' or our own work. */
  async *present(): AsyncGenerator<string> {
    const { folder, format } = this.#config;
    const [suffix] = SUFFIXES[format];
    const entries = await opendir(folder).catch((error: unknown) => {
      throw misconfigured(`The folder ${folder} cannot be looked into.`, error);
    });
    for await (const { name } of entries)
      if (name.endsWith(suffix) && !name.startsWith(".")) yield name.slice(0, -suffix.length);
  }

  async close(): Promise<void> {}

  /** All that has to be so before anything is changed. */
  async #ready(): Promise<Ownership> {
    await this.#folder();
    const { owner, group } = this.#config;
    const numbers = await ownership(owner, group);
    checkMayGive(numbers, owner);
    return numbers;
  }

  /** It is not made here, as whoever reads it needs rights there that we cannot know. */
  async #folder(): Promise<void> {
    const { folder } = this.#config;
    const stats = await stat(folder).catch((error: unknown) => {
      throw misconfigured(`The folder ${folder} is not there, or cannot be looked into. Make it.`, error);
    });
    if (!stats.isDirectory()) throw misconfigured(`${folder} is no folder. Correct the configuration.`);
    await access(folder, constants.W_OK | constants.X_OK).catch((error: unknown) => {
      throw misconfigured(
        `${folder} cannot be written to by this user. Give it to the user of the role "deploy".`,
        error,
      );
    });
  }

  /** In separate files, name.ca.cer is the chain of `name` and the leaf of `name.ca`: only one of them can be there. */
  async #clash(id: string): Promise<string | undefined> {
    if (this.#config.format !== "separate") return undefined;
    const others = [`${id}.ca`, ...(id.endsWith(".ca") ? [id.slice(0, -3)] : [])];
    for (const other of others)
      if (await exists(join(this.#config.folder, `${fileStem(other)}.key`))) return other;
    return undefined;
  }

  async #isCurrent(name: string, content: string, { uid, gid }: Ownership): Promise<boolean> {
    const path = join(this.#config.folder, name);
    return await onDisk(path, async () => {
      if ((await readText(path)) !== content) return false;
      const stats = await stat(path);
      return (
        (stats.mode & 0o7777) === this.#mode &&
        (uid === undefined || stats.uid === uid) &&
        (gid === undefined || stats.gid === gid)
      );
    });
  }

  async #place(name: string, content: string, owner: Ownership): Promise<void> {
    const path = join(this.#config.folder, name);
    const tag = createHash("sha256").update(name).digest("hex").slice(0, 32);
    // The same one each time, so that what a crash has left is not left for ever.
    const temporary = join(this.#config.folder, `.certherd-${tag}`);
    try {
      await onDisk(path, async () => {
        await unlink(temporary).catch(unlessMissing);
        await this.#write(temporary, content, owner);
        await rename(temporary, path);
      });
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error instanceof AppError && isCode(error.cause, "EPERM") ? this.#notGiven(error.cause) : error;
    }
  }

  /** Only this user can read it until owner and mode are set, and it has its name after that. */
  async #write(path: string, content: string, owner: Ownership): Promise<void> {
    const handle = await open(path, "wx", SECRET_FILE);
    try {
      await handle.writeFile(content);
      const { uid, gid } = await handle.stat();
      const [to, toGroup] = [owner.uid ?? uid, owner.gid ?? gid];
      if (to !== uid || toGroup !== gid) await handle.chown(to, toGroup);
      await handle.chmod(this.#mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  #notGiven(cause: unknown): AppError {
    const { owner, group, folder } = this.#config;
    const whom = [owner, group].filter((part) => part !== undefined).join(":");
    return misconfigured(
      `Files in ${folder} cannot be given to ${whom} by user ${process.geteuid?.()}. Run the role "deploy" as root, or leave owner and group out.`,
      cause,
    );
  }

  async #changing(): Promise<void> {
    if (this.#config.reload && !(await exists(this.#untold)))
      await writeAtomic(this.#untold, "", SECRET_FILE);
  }

  async #synced(): Promise<void> {
    await onDisk(this.#config.folder, () => syncFolder(this.#config.folder));
  }

  async #tell(): Promise<void> {
    const { reload, timeout, folder } = this.#config;
    if (!reload || !(await exists(this.#untold))) return;
    const { ok, how, output } = await run(reload, { timeout });
    if (!ok) {
      const words = output === "" ? "It said nothing" : `It said: ${output}`;
      throw new AppError(
        `The certificates are in ${folder}, but ${reload.join(" ")} ${how}. ${words}. It is run again until it ends well.`,
        { code: "command_failed", disposition: "node" },
      );
    }
    await unlink(this.#untold).catch(unlessMissing);
  }
}

const SUFFIXES = {
  pem: [".pem"],
  separate: [".key", ".cer", ".ca.cer", ".fullchain.cer"],
} as const;

/** File names and what is in them. */
function contents(
  { id, keyPem, leafPem, issuersPem }: Bundle,
  format: FilesTarget["format"],
): [string, string][] {
  const stem = fileStem(id);
  if (format === "pem") return [[`${stem}.pem`, `${keyPem}${leafPem}${issuersPem}`]];
  return [
    [`${stem}.key`, keyPem],
    [`${stem}.cer`, leafPem],
    [`${stem}.ca.cer`, issuersPem],
    [`${stem}.fullchain.cer`, `${leafPem}${issuersPem}`],
  ];
}

function clashes({ names: [name], id }: Bundle, other: string): AppError {
  return new AppError(
    `The certificate ${id} was left out: beside ${other}, one's .ca.cer would be the other's .cer. Use the format pem, or remove one of them.`,
    { code: "target_refused", disposition: "attention", identifier: name },
  );
}

function unlessMissing(error: unknown): void {
  if (!isCode(error, "ENOENT")) throw error;
}
