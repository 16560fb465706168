import { open } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, onDisk, SECRET_FILE } from "./atomic.ts";
import { readText } from "./disk.ts";

interface Line {
  id: string;
  at: number;
}

/** `removed.jsonl`: what was taken away, and when, as the imports go on telling that it was asked for. */
export class Removals {
  readonly #home: string;
  readonly #path: string;

  constructor(home: string) {
    this.#home = home;
    this.#path = join(home, "removed.jsonl");
  }

  /** On disk when this returns. `at` in milliseconds since the epoch. */
  async note(id: string, at: number): Promise<void> {
    await makeFolder(this.#home);
    await onDisk(this.#path, async () => {
      const handle = await open(this.#path, "a", SECRET_FILE);
      try {
        // The break before it ends a line that a crash has cut off.
        await handle.appendFile(`\n${JSON.stringify({ id, at } satisfies Line)}\n`);
        await handle.datasync();
      } finally {
        await handle.close();
      }
    });
  }

  /** By the certificate's id: when it was taken away last. */
  async load(): Promise<Map<string, number>> {
    const latest = new Map<string, number>();
    for (const text of ((await readText(this.#path)) ?? "").split("\n")) {
      const line = parsed(text);
      if (line) latest.set(line.id, Math.max(line.at, latest.get(line.id) ?? 0));
    }
    return latest;
  }
}

/** Undefined for a line that is empty or not whole. */
function parsed(text: string): Line | undefined {
  try {
    const { id, at } = JSON.parse(text) as Partial<Line>;
    return typeof id === "string" && typeof at === "number" ? { id, at } : undefined;
  } catch {
    return undefined;
  }
}
