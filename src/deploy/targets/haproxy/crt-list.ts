import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isCode, onDisk, syncFolder } from "../../../store/atomic.ts";
import { misconfigured } from "../owner.ts";
import { crtListLine } from "./commands.ts";
import { replaceFile } from "./replace.ts";

/** What is in the file, and by what it is seen that nobody else has changed it since. */
interface Read {
  version: string;
  text: string;
  files: Set<string>;
}

/**
 * The crt-list on disk, which HAProxy reads when it starts. Lines of others, comments and their order are left as they
 * are. It is parsed once, and again only when somebody else has changed it. As HAProxy would not start with a line torn
 * in two, it is never appended to but replaced as a whole, once for a batch.
 */
export class CrtList {
  readonly #path: string;
  #read: Read | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** The certificate files that it names. Throws `node_misconfigured` where there is no such file. */
  async files(): Promise<ReadonlySet<string>> {
    return (await this.#current()).files;
  }

  /** Adds a line at the end for each file that has none yet. */
  async add(files: readonly string[], options: string | undefined): Promise<void> {
    const { text, files: present } = await this.#current();
    const missing = files.filter((file) => !present.has(file));
    if (missing.length === 0) return;
    const start = text === "" || text.endsWith("\n") ? text : `${text}\n`;
    const added = missing.map((file) => `${crtListLine(file, options)}\n`);
    await this.#replace(start + added.join(""), new Set([...present, ...missing]));
  }

  /** Takes every line of these files away. */
  async drop(files: readonly string[]): Promise<void> {
    const { text, files: present } = await this.#current();
    const gone = new Set(files.filter((file) => present.has(file)));
    if (gone.size === 0) return;
    const kept = text.split("\n").filter((line) => !gone.has(fileOf(line) ?? ""));
    await this.#replace(kept.join("\n"), new Set([...present].filter((file) => !gone.has(file))));
  }

  async #current(): Promise<Read> {
    const version = await this.#version();
    if (this.#read?.version !== version) {
      const text = await onDisk(this.#path, () => readFile(this.#path, "utf8"));
      this.#read = { version, text, files: filesOf(text) };
    }
    return this.#read;
  }

  async #replace(text: string, files: Set<string>): Promise<void> {
    this.#read = undefined;
    await replaceFile(this.#path, text);
    await onDisk(this.#path, () => syncFolder(dirname(this.#path)));
    this.#read = { version: await this.#version(), text, files };
  }

  /** A new file has another inode, and one that was written to another time. */
  async #version(): Promise<string> {
    try {
      const { mtimeNs, size, ino } = await stat(this.#path, { bigint: true });
      return `${mtimeNs}:${size}:${ino}`;
    } catch (error) {
      if (!isCode(error, "ENOENT")) throw misconfigured(`The crt-list ${this.#path} cannot be read.`, error);
      throw misconfigured(
        `The crt-list ${this.#path} is not on disk, and HAProxy would not start again without it. Put it back, or make an empty one.`,
        error,
      );
    }
  }
}

/** The certificate file that a line names. */
export function fileOf(line: string): string | undefined {
  return /^\s*([^\s#][^\s[]*)/.exec(line)?.[1];
}

function filesOf(text: string): Set<string> {
  return new Set(text.split("\n").flatMap((line) => fileOf(line) ?? []));
}
