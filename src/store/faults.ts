import { createReadStream } from "node:fs";
import { type FileHandle, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { makeFolder, onDisk, SECRET_FILE } from "./atomic.ts";

/** `imports/<id>.faults.jsonl`: what was wrong with an import, a line a fault, so that any number of them fits. */
export class FaultFile<F> {
  readonly #folder: string;
  readonly #path: string;
  #handle: FileHandle | undefined;

  constructor(importsFolder: string, importId: string) {
    this.#folder = importsFolder;
    this.#path = join(importsFolder, `${importId}.faults.jsonl`);
  }

  async add(faults: readonly F[]): Promise<void> {
    if (faults.length === 0) return;
    await onDisk(this.#path, async () => {
      if (!this.#handle) {
        await makeFolder(this.#folder);
        this.#handle = await open(this.#path, "a", SECRET_FILE);
      }
      await this.#handle.appendFile(faults.map((fault) => `${JSON.stringify(fault)}\n`).join(""));
    });
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }

  /** In the order in which they were added; none when there is no such file. */
  async *read(): AsyncGenerator<F> {
    if (!(await stat(this.#path).catch(() => undefined))) return;
    for await (const line of createInterface({ input: createReadStream(this.#path) }))
      if (line !== "") yield JSON.parse(line) as F;
  }
}
