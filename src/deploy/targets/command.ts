import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CommandTarget } from "../../config/terminations.ts";
import { firstNameOf } from "../../core/certificate.ts";
import { AppError } from "../../core/errors.ts";
import { onDisk, SECRET_FILE } from "../../store/atomic.ts";
import { readText, removeFolder } from "../../store/disk.ts";
import { fileStem, type SetPaths, setPaths } from "../../store/layout.ts";
import {
  type Bundle,
  type Examined,
  type Failures,
  NO_FAILURES,
  type Removal,
  type Target,
} from "../target.ts";
import { examined } from "./examined.ts";
import { findProgram, type Ran, run } from "./run.ts";

export interface CommandPorts {
  /** Where a certificate's files are on this host. */
  paths(id: string): SetPaths;
}

/** Programs that run at once. */
const AT_ONCE = 4;

/** Runs a program for each certificate, with paths and names in its environment. */
export function createCommandTarget(config: CommandTarget, ports: CommandPorts): Target {
  return new Command(config, ports);
}

class Command implements Target {
  readonly batch = 20;
  readonly gather = 20;
  readonly #config: CommandTarget;
  readonly #paths: CommandPorts["paths"];

  constructor(config: CommandTarget, { paths }: CommandPorts) {
    this.#config = config;
    this.#paths = paths;
  }

  async rest(): Promise<number> {
    return 0;
  }

  async put(bundles: readonly Bundle[]): Promise<Failures> {
    const { run: command } = this.#config;
    return await this.#each(bundles, command, (bundle) =>
      this.#withFiles(bundle, (paths) =>
        this.#run(command, { ...environment(bundle, paths), CERTHERD_SERIAL: bundle.serial }),
      ),
    );
  }

  async remove(removals: readonly Removal[]): Promise<Failures> {
    const { remove: command } = this.#config;
    if (!command) return NO_FAILURES;
    return await this.#each(removals, command, (removal) =>
      this.#run(command, environment(removal, this.#paths(removal.id))),
    );
  }

  async *examine(): AsyncGenerator<Examined> {
    const {
      run: [program = ""],
      remove,
    } = this.#config;
    yield await examined("program", () => findProgram(program));
    if (remove) yield await examined("program for removals", () => findProgram(remove[0] ?? ""));
  }

  async close(): Promise<void> {}

  async #each<T extends Removal>(
    items: readonly T[],
    [program = ""]: readonly string[],
    work: (item: T) => Promise<Ran>,
  ): Promise<Failures> {
    const failures = new Map<string, AppError>();
    const queue = [...items];
    const worker = async (): Promise<void> => {
      for (let item = queue.shift(); item; item = queue.shift()) {
        const ran = await work(item);
        if (!ran.ok) failures.set(item.id, failed(program, item, ran));
      }
    };
    const workers = Array.from({ length: AT_ONCE }, worker);
    // No program may run on when this call has ended.
    const settled = await Promise.allSettled(
      workers.map((each) =>
        each.catch((error: unknown) => {
          queue.length = 0;
          throw error;
        }),
      ),
    );
    for (const outcome of settled) if (outcome.status === "rejected") throw outcome.reason;
    return failures;
  }

  async #run(command: readonly string[], env: Record<string, string>): Promise<Ran> {
    return await run(command, { timeout: this.#config.timeout, env });
  }

  /**
   * The store's own files, where they are this certificate's. They are not when what was there before is given back, or
   * when the store is another host's: then it gets copies that go away again.
   */
  async #withFiles<T>(bundle: Bundle, work: (paths: SetPaths) => Promise<T>): Promise<T> {
    const paths = this.#paths(bundle.id);
    if (await holds(paths, bundle)) return await work(paths);
    const base = tmpdir();
    const folder = await onDisk(base, () => mkdtemp(join(base, "certherd-")));
    try {
      const copies = setPaths(folder, fileStem(bundle.id));
      for (const [path, content] of contents(copies, bundle))
        await onDisk(path, () => writeFile(path, content, { mode: SECRET_FILE }));
      return await work(copies);
    } finally {
      await removeFolder(folder).catch(() => undefined);
    }
  }
}

function contents({ cert, key, ca, fullchain }: SetPaths, bundle: Bundle): [string, string][] {
  const { leafPem, keyPem, issuersPem } = bundle;
  return [
    [cert, leafPem],
    [key, keyPem],
    [ca, issuersPem],
    [fullchain, `${leafPem}${issuersPem}`],
  ];
}

async function holds(paths: SetPaths, bundle: Bundle): Promise<boolean> {
  for (const [path, content] of contents(paths, bundle))
    if ((await readText(path).catch(() => undefined)) !== content) return false;
  return true;
}

function environment({ id, names }: Removal, { cert, key, ca, fullchain }: SetPaths): Record<string, string> {
  return {
    CERTHERD_NAME: names[0] ?? firstNameOf(id),
    CERTHERD_NAMES: names.join(" "),
    CERTHERD_CERT: cert,
    CERTHERD_KEY: key,
    CERTHERD_CA: ca,
    CERTHERD_FULLCHAIN: fullchain,
  };
}

function failed(program: string, { id, names }: Removal, { how, output }: Ran): AppError {
  const name = names[0] ?? firstNameOf(id);
  const words = output === "" ? "It said nothing" : `It said: ${output}`;
  return new AppError(`For ${name}, ${program} ${how}. ${words}`, {
    code: "command_failed",
    disposition: "retry",
    identifier: name,
  });
}
