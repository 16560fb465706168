import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { CertificateSpec } from "../core/certificate.ts";
import { isCode, makeFolder, onDisk, SECRET_FILE } from "./atomic.ts";
import type { ImportCounts, NotifyMode } from "./imports.ts";

/** The first line of `imports/<id>.jsonl`. */
export interface ImportHeader {
  import: string;
  source: string;
  at: number;
  notify: NotifyMode;
}

export interface AcceptedLine {
  line: number;
  at: number;
  spec: CertificateSpec;
  /** It was asked for whatever its certificate's state: a person has ended a pause, say. */
  force?: boolean;
}

/** The last line, once the file has been read to its end. */
export interface ImportFooter {
  end: ImportCounts;
}

export type ImportLine = ImportHeader | AcceptedLine | ImportFooter;

/** Beside the journals lie their rejected rows, `<id>.rejected.csv`, and the faults of those, `<id>.faults.jsonl`. */
const JOURNAL = /^[^.]+\.jsonl$/;

/** Sorts by time, readable, and safe as a file's name and in a URL. */
export function newImportId(now: number): string {
  const stamp = new Date(now).toISOString().replace(/[-:]/g, "").slice(0, 15);
  return `${stamp}-${randomBytes(4).toString("hex")}`;
}

/** What was accepted, on disk before it is queued: `imports/<id>.jsonl`, a line a certificate, synced per chunk. */
export class ImportFiles {
  readonly root: string;

  constructor(home: string) {
    this.root = join(home, "imports");
  }

  path(id: string): string {
    return join(this.root, `${id}.jsonl`);
  }

  /** The rejected rows of one import, to be mended and imported again; not there where there were none. */
  rejected(id: string): string {
    return join(this.root, `${id}.rejected.csv`);
  }

  async begin(header: ImportHeader): Promise<ImportJournal> {
    await makeFolder(this.root);
    const path = this.path(header.import);
    const handle = await onDisk(path, () => open(path, "a", SECRET_FILE));
    const journal = new ImportJournal(path, handle);
    await journal.append([header]);
    return journal;
  }

  /** Single enqueues share one file a day, which never ends. */
  async appendSingle(lines: readonly AcceptedLine[], now: number): Promise<void> {
    await makeFolder(this.root);
    const path = this.path(`single-${new Date(now).toISOString().slice(0, 10)}`);
    const handle = await onDisk(path, () => open(path, "a", SECRET_FILE));
    const journal = new ImportJournal(path, handle);
    try {
      await journal.append(lines, "\n");
    } finally {
      await journal.close();
    }
  }

  /** Ids of all imports on disk, oldest first; the single enqueues last. */
  async ids(): Promise<string[]> {
    try {
      const names = await readdir(this.root);
      return names
        .filter((name) => JOURNAL.test(name))
        .map((name) => name.slice(0, -".jsonl".length))
        .sort();
    } catch (error) {
      if (isCode(error, "ENOENT")) return [];
      throw error;
    }
  }

  /** The lines of one import; one that a crash cut off is passed over, as it was never answered for. */
  async *lines(id: string): AsyncGenerator<ImportLine> {
    const reader = createInterface({
      input: createReadStream(this.path(id)),
      crlfDelay: Number.POSITIVE_INFINITY,
    });
    for await (const line of reader) {
      try {
        yield JSON.parse(line) as ImportLine;
      } catch {
        // Not whole: written when the process or the machine died.
      }
    }
  }
}

export class ImportJournal {
  readonly #path: string;
  readonly #handle: FileHandle;

  constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  /** On disk when this returns. `before` ends a line that somebody else may have left unfinished. */
  async append(lines: readonly ImportLine[], before = ""): Promise<void> {
    if (lines.length === 0) return;
    await onDisk(this.#path, async () => {
      await this.#handle.appendFile(before + lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      await this.#handle.datasync();
    });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
