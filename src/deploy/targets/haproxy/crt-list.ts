import { stat } from "node:fs/promises";
import { readText } from "../../../store/disk.ts";
import { replaceFile } from "./replace.ts";

/**
 * A crt-list on disk (https://docs.haproxy.org/2.6/configuration.html#crt-list): a line for each certificate, its file
 * first. Read again only when somebody else has changed it, and written as a whole, once for a batch, as HAProxy may
 * read it at any moment. What is not ours stays as it is.
 */
export class CrtListFile {
  readonly #path: string;
  #seen = "";
  #lines: string[] = [];
  #files = new Set<string>();

  constructor(path: string) {
    this.#path = path;
  }

  async has(file: string): Promise<boolean> {
    await this.#read();
    return this.#files.has(file);
  }

  /** Adds a line for each file that has none. `options`: as they stand in brackets. */
  async add(files: readonly string[], options: string | undefined): Promise<void> {
    await this.#read();
    const missing = files.filter((file) => !this.#files.has(file));
    if (missing.length === 0) return;
    const lines = missing.map((file) => (options === undefined ? file : `${file} [${options}]`));
    await this.#write([...this.#lines, ...lines]);
  }

  async remove(files: readonly string[]): Promise<void> {
    await this.#read();
    const gone = new Set(files.filter((file) => this.#files.has(file)));
    if (gone.size === 0) return;
    await this.#write(this.#lines.filter((line) => !gone.has(fileOf(line))));
  }

  async #read(): Promise<void> {
    const now = await stamp(this.#path);
    if (now === this.#seen) return;
    const text = (await readText(this.#path)) ?? "";
    this.#keep(text === "" ? [] : text.replace(/\n$/, "").split("\n"));
    this.#seen = now;
  }

  async #write(lines: string[]): Promise<void> {
    await replaceFile(this.#path, lines.map((line) => `${line}\n`).join(""), 0o644);
    this.#keep(lines);
    this.#seen = await stamp(this.#path);
  }

  #keep(lines: string[]): void {
    this.#lines = lines;
    this.#files = new Set(lines.map(fileOf).filter((file) => file !== "" && !file.startsWith("#")));
  }
}

function fileOf(line: string): string {
  return line.trim().split(/[\s[]/)[0] ?? "";
}

/** Changes whenever somebody writes the file, or puts another one in its place. */
async function stamp(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? "none" : `${found.ino} ${found.size} ${found.mtimeNs}`;
}
