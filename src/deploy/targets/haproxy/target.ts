import { access, constants, readFile, stat, unlink } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import type { HaproxyTarget } from "../../../config/terminations.ts";
import { AppError } from "../../../core/errors.ts";
import { makeFolder, onDisk, syncFolder } from "../../../store/atomic.ts";
import { fileStem } from "../../../store/files.ts";
import {
  type Bundle,
  type Examined,
  type Failures,
  NO_FAILURES,
  type Removal,
  type Target,
} from "../../target.ts";
import { misconfigured } from "../owner.ts";
import { pemOf, tooLarge } from "./certificate.ts";
import { RuntimeCommands } from "./commands.ts";
import { RuntimeConnection } from "./connection.ts";
import { CrtList } from "./crt-list.ts";
import { examineHaproxy } from "./examine.ts";
import { replaceFile, unlessMissing } from "./replace.ts";
import { checkInUse, checkLevel, endOwnTransaction, isRefusal, Runtime } from "./runtime.ts";
import { inTurn } from "./turn.ts";

/** PEM files written and synced at once. */
const WRITES = 16;

/** Gives a local HAProxy its certificates over the runtime socket, without a reload, and the same on disk. */
export function createHaproxyTarget(config: HaproxyTarget): Target {
  return new Haproxy({ ...config, certDir: normalize(config.certDir).replace(/(.)\/$/, "$1") });
}

class Haproxy implements Target {
  readonly batch = 100;
  readonly gather = 20;
  readonly #config: HaproxyTarget;
  readonly #list: CrtList;

  constructor(config: HaproxyTarget) {
    this.#config = config;
    this.#list = new CrtList(config.crtList);
  }

  async rest(): Promise<number> {
    return 0;
  }

  /**
   * Runtime first, then the PEM files, then the crt-list on disk. A certificate that HAProxy refuses must never get to
   * disk, and no line without its file: either would keep HAProxy from starting again.
   */
  async put(bundles: readonly Bundle[]): Promise<Failures> {
    if (bundles.length === 0) return NO_FAILURES;
    const latest = new Map(bundles.map((bundle) => [bundle.id, bundle]));
    return await this.#changing(async (commands, runtime) => {
      const bufferSize = await commands.bufferSize();
      const failures = new Map<string, AppError>();
      const done: Bundle[] = [];
      const fitting: Bundle[] = [];
      for (const bundle of latest.values()) {
        const why = tooLarge(bundle, this.#file(bundle.id), bufferSize);
        if (why === undefined) fitting.push(bundle);
        else failures.set(bundle.id, why);
      }
      for (const bundle of fitting) {
        const why = await refusal(bundle, () => runtime.put(bundle, this.#file(bundle.id)));
        if (why === undefined) done.push(bundle);
        else failures.set(bundle.id, why);
      }
      await this.#writePems(done);
      await this.#list.add(
        done.map(({ id }) => this.#file(id)),
        this.#config.options,
      );
      return failures;
    });
  }

  /** The other way round: as long as there is a line, its file has to be there. */
  async remove(removals: readonly Removal[]): Promise<Failures> {
    if (removals.length === 0) return NO_FAILURES;
    return await this.#changing(async (_, runtime) => {
      const failures = new Map<string, AppError>();
      const unlisted: string[] = [];
      const unused: string[] = [];
      for (const removal of removals) {
        const file = this.#file(removal.id);
        const why = await refusal(removal, async () => {
          const gone = await runtime.remove(file);
          unlisted.push(file);
          if (!gone) throw stillUsed(removal, file);
          unused.push(file);
        });
        if (why !== undefined) failures.set(removal.id, why);
      }
      await this.#list.drop(unlisted);
      await this.#removePems(unused);
      return failures;
    });
  }

  examine(): AsyncIterable<Examined> {
    return examineHaproxy(this.#config);
  }

  /** Entries of the crt-list whose file is in our folder. */
  async *present(): AsyncGenerator<string> {
    const prefix = join(this.#config.certDir, "/");
    for (const file of await this.#list.files()) {
      const name = file.startsWith(prefix) ? file.slice(prefix.length) : "";
      if (name.endsWith(".pem") && !name.includes("/")) yield name.slice(0, -".pem".length);
    }
  }

  async close(): Promise<void> {}

  /** One connection, on which all is found to be in order before anything is changed. */
  async #changing<T>(work: (commands: RuntimeCommands, runtime: Runtime) => Promise<T>): Promise<T> {
    return await inTurn(this.#config.socket, async () => {
      await checkFiles(this.#config);
      const listed = await this.#list.files();
      const connection = await RuntimeConnection.open(this.#config);
      try {
        const commands = new RuntimeCommands(connection);
        await checkLevel(commands, this.#config.socket);
        await checkInUse(commands, this.#config.crtList);
        await endOwnTransaction(commands, this.#config.certDir);
        const result = await work(commands, new Runtime(commands, this.#config, listed));
        await checkStillInOffice(commands, this.#config.socket);
        return result;
      } finally {
        connection.close();
      }
    });
  }

  #file(id: string): string {
    return join(this.#config.certDir, `${fileStem(id)}.pem`);
  }

  async #writePems(bundles: readonly Bundle[]): Promise<void> {
    const { certDir } = this.#config;
    let written = false;
    const write = async (bundle: Bundle): Promise<void> => {
      const [file, pem] = [this.#file(bundle.id), pemOf(bundle)];
      if ((await readFile(file, "utf8").catch(() => undefined)) === pem) return;
      await replaceFile(file, pem);
      written = true;
    };
    for (let from = 0; from < bundles.length; from += WRITES)
      await Promise.all(bundles.slice(from, from + WRITES).map(write));
    if (written) await onDisk(certDir, () => syncFolder(certDir));
  }

  async #removePems(files: readonly string[]): Promise<void> {
    const { certDir } = this.#config;
    for (const file of files) await onDisk(file, () => unlink(file).catch(unlessMissing));
    if (files.length > 0) await onDisk(certDir, () => syncFolder(certDir));
  }
}

/** What is wrong with the files, before HAProxy is told anything that could then not be written. */
export async function checkFiles({ crtList, certDir }: HaproxyTarget): Promise<void> {
  for (const path of [crtList, certDir])
    if (/[\s\\;<'"#[\]]/.test(path))
      throw misconfigured(
        `${path} has blanks, quotes or other characters that HAProxy takes apart. Use a plain path.`,
      );
  await makeFolder(certDir).catch((error: unknown) => {
    throw misconfigured(`The folder ${certDir} is not there and cannot be made. Make it.`, error);
  });
  for (const folder of [certDir, dirname(crtList)])
    await access(folder, constants.W_OK | constants.X_OK).catch((error: unknown) => {
      throw misconfigured(
        `${folder} cannot be written to by this user. Give it to the user of the role "deploy".`,
        error,
      );
    });
  const owner = (await stat(crtList).catch(unlessMissing))?.uid;
  const ours = process.geteuid?.();
  if (owner !== undefined && ours !== 0 && owner !== ours)
    throw misconfigured(
      `The crt-list ${crtList} belongs to user ${owner}, and this process runs as user ${ours}, which could not keep it so. Run the role "deploy" as root, or give it that file.`,
    );
}

/**
 * A reload leaves our connection with the old process, and what went there is lost to the new one if that had read its
 * files before. One that reads them this very moment is not seen here, but by whoever looks what is served.
 */
async function checkStillInOffice(commands: RuntimeCommands, socket: string): Promise<void> {
  if (!(await commands.info()).stopping) return;
  throw new AppError(
    `HAProxy was reloaded while ${socket} was in use. The certificates are handed over again.`,
    {
      code: "node_busy",
      disposition: "unavailable",
    },
  );
}

/** What HAProxy says no to is about one certificate, and the others of the batch go on; all else is thrown. */
async function refusal(
  { id, names: [name] }: Removal,
  work: () => Promise<void>,
): Promise<AppError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const { code, disposition } = error;
    return new AppError(`The certificate ${id} was left out. ${error.message}`, {
      code,
      disposition,
      identifier: name,
      cause: error,
    });
  }
}

function stillUsed({ id }: Removal, file: string): AppError {
  return new AppError(
    `HAProxy uses ${file} elsewhere too, so ${id} is still served. Take it out of its other crt-list or "crt", and remove it again.`,
    { code: "target_refused", disposition: "attention" },
  );
}
