import { AppError } from "../../../core/errors.ts";
import { misconfigured } from "../owner.ts";
import type { Shown } from "./certificate.ts";
import type { RuntimeConnection } from "./connection.ts";

/** How HAProxy has a certificate in memory. */
export interface StoredCertificate {
  /** Undefined while the store is empty. */
  shown: Shown | undefined;
  /** In some crt-list, or in a `crt` of a bind line: which of them is not told. */
  used: boolean;
}

export interface ProcessInfo {
  version: string;
  pid: number;
  /** Seconds. */
  uptime: number;
  /** A newer process has taken its place, after a reload. */
  stopping: boolean;
}

/** tune.bufsize of a HAProxy that does not tell: the default. */
const DEFAULT_BUFFER = 16_384;

/**
 * The commands of the runtime socket, and how their answers are understood (the words are the same from 2.2 to 3.4:
 * src/ssl_ckch.c, src/ssl_crtlist.c). There are no codes: what is not the known success is a failure, an empty answer
 * too. A refusal is an AppError `target_refused` with HAProxy's own words, about the one certificate; `node_busy` is
 * thrown while somebody else has the certificates locked, and `node_misconfigured` where the level is too low.
 */
export class RuntimeCommands {
  readonly #connection: RuntimeConnection;

  constructor(connection: RuntimeConnection) {
    this.#connection = connection;
  }

  async info(): Promise<ProcessInfo> {
    const answer = await this.#ask("show info");
    const field = (name: string): string => new RegExp(`^${name}: *(.*)$`, "m").exec(answer)?.[1] ?? "";
    const pid = Number(field("Pid"));
    if (!(pid > 0)) throw refused("show info", answer);
    return {
      version: field("Version"),
      pid,
      uptime: Number(field("Uptime_sec")),
      stopping: field("Stopping") === "1",
    };
  }

  /** `user`, `operator` or `admin`. */
  async level(): Promise<string> {
    const answer = await this.#ask("show cli level");
    return answer.trim();
  }

  /** tune.bufsize in bytes. No command names it, but there is a pool of buffers, and one a little larger. */
  async bufferSize(): Promise<number> {
    const answer = await this.#ask("show pools");
    // From 3.3 on it says "(16384 bytes/64)".
    return Number(/\bPool buffer \((\d+) bytes\b/.exec(answer)?.[1] ?? DEFAULT_BUFFER);
  }

  /** The names of the crt-lists in use, not what is in them. */
  async crtLists(): Promise<string[]> {
    return lines(await this.#ask("show ssl crt-list"));
  }

  /** Every certificate of a crt-list, by its file: O(all certificates). */
  async listed(crtList: string): Promise<Set<string>> {
    const answer = await this.#ask(`show ssl crt-list ${crtList}`);
    if (!answer.startsWith("#")) throw refused("show ssl crt-list", answer);
    return new Set(
      lines(answer).flatMap((line) => (line.startsWith("#") ? [] : [line.split(/\s/)[0] ?? ""])),
    );
  }

  /** The file that the open transaction is about. Asked by aborting one that cannot be: there is no other command. */
  async transaction(): Promise<string | undefined> {
    const answer = await this.#ask("abort ssl cert /certherd/looks/for/a/transaction");
    if (answer.startsWith("No ongoing transaction")) return undefined;
    const file = /^The ongoing transaction is about '(.+?)' but /.exec(answer)?.[1];
    if (file === undefined) throw refused("abort ssl cert", answer);
    return file;
  }

  async abort(file: string): Promise<void> {
    const answer = await this.#ask(`abort ssl cert ${file}`);
    if (!/^(Transaction aborted|No ongoing transaction)/.test(answer))
      throw refused("abort ssl cert", answer);
  }

  /** What is in memory for a file; undefined when nothing is. */
  async stored(file: string): Promise<StoredCertificate | undefined> {
    const answer = await this.#ask(`show ssl cert ${file}`);
    if (answer.startsWith("Can't display the certificate: Not found")) return undefined;
    const status = /^Status: (.+)$/m.exec(answer)?.[1];
    if (status === undefined) throw refused("show ssl cert", answer);
    const fingerprint = /^SHA1 FingerPrint: ([0-9A-F]+)$/m.exec(answer)?.[1];
    const chain = Array.from(answer.matchAll(/^Chain (?:Subject|Issuer): (.*)$/gm), ([, name = ""]) => name);
    const shown = fingerprint === undefined ? undefined : { fingerprint, chain };
    return { shown, used: status === "Used" };
  }

  /** Makes room for a new file. */
  async create(file: string): Promise<void> {
    const answer = await this.#ask(`new ssl cert ${file}`);
    if (!answer.startsWith("New empty certificate store")) throw refused("new ssl cert", answer);
  }

  /** Hands over a certificate with key and chain, which is not used before the commit. */
  async set(file: string, pem: string): Promise<void> {
    const answer = await this.#ask(setCommand(file), pem);
    const about = /^Transaction (?:created|updated) for certificate (.+)!$/m.exec(answer)?.[1];
    if (about === file) return;
    // 2.6 puts a certificate into whatever transaction is open. The other's would commit ours under its own name.
    if (about !== undefined) await this.abort(about);
    const other = about ?? /^The ongoing transaction is about '(.+?)' but /m.exec(answer)?.[1];
    if (other !== undefined) throw busyWith(other);
    throw refused("set ssl cert", answer);
  }

  async commit(file: string): Promise<void> {
    const answer = await this.#ask(`commit ssl cert ${file}`);
    // It was there a moment ago: another client has ended it.
    if (answer.startsWith("No ongoing transaction")) throw busyWith(file);
    if (!/^Success!$/m.test(answer)) throw refused("commit ssl cert", answer);
  }

  /** HAProxy adds it once more where it is there already. Options can only be given as a payload. */
  async add(crtList: string, file: string, options: string | undefined): Promise<void> {
    const answer =
      options === undefined
        ? await this.#ask(`add ssl crt-list ${crtList} ${file}`)
        : await this.#ask(`add ssl crt-list ${crtList}`, crtListLine(file, options));
    if (/^Success!$/m.test(answer)) return;
    if (options !== undefined && /: parsing \[CLI/.test(answer))
      throw misconfigured(
        `HAProxy does not take the options "${options}" of this node: ${oneLine(answer)}. Correct "options".`,
      );
    throw refused("add ssl crt-list", answer);
  }

  /** Takes a file out of a crt-list, as often as it is in there. */
  async takeOut(crtList: string, file: string): Promise<void> {
    const answer = await this.#takeOut(crtList, file);
    const numbers = /several entries, please specify a line number[^(]*\(([\d, ]+)\)/.exec(answer)?.[1];
    for (const number of numbers?.split(", ") ?? []) await this.#takeOut(crtList, `${file}:${number}`);
  }

  async #takeOut(crtList: string, entry: string): Promise<string> {
    const answer = await this.#ask(`del ssl crt-list ${crtList} ${entry}`);
    const done =
      /^Entry '.+' deleted|^Can't delete the entry: (found the certificate .* several|certificate .* (can't be found|does not exist|is empty))/;
    if (!done.test(answer)) throw refused("del ssl crt-list", answer);
    return answer;
  }

  /** Whether it is gone from memory; not while something else uses it. */
  async delete(file: string): Promise<boolean> {
    const answer = await this.#ask(`del ssl cert ${file}`);
    if (
      /^Certificate '.+' deleted|^Can't remove the certificate: certificate '.+' doesn't exist/.test(answer)
    )
      return true;
    if (/^Can't remove the certificate: certificate '.+' in use/.test(answer)) return false;
    throw refused("del ssl cert", answer);
  }

  async #ask(command: string, payload?: string): Promise<string> {
    const answer = await this.#connection.ask(command, payload);
    if (/^Permission denied/.test(answer))
      throw misconfigured(
        `HAProxy's socket does not allow "${words(command)}". Set "level admin" on its "stats socket" line in HAProxy's configuration.`,
      );
    if (/Operations on certificates are currently locked/.test(answer))
      throw new AppError("HAProxy is changing certificates for another client. It is tried again.", {
        code: "node_busy",
        disposition: "unavailable",
      });
    return answer;
  }
}

export function setCommand(file: string): string {
  return `set ssl cert ${file}`;
}

/** As it stands in the file on disk, and as HAProxy takes it in memory. */
export function crtListLine(file: string, options: string | undefined): string {
  return options === undefined ? file : `${file} [${options}]`;
}

/** The transaction belongs to somebody else, and HAProxy has one at a time. */
export function busyWith(file: string): AppError {
  return new AppError(
    `Another client of HAProxy's socket has a transaction open for ${file}. It is tried again; if nobody is at work, end it with "abort ssl cert ${file}".`,
    { code: "node_busy", disposition: "unavailable" },
  );
}

function refused(command: string, answer: string): AppError {
  const said = oneLine(answer);
  return new AppError(`HAProxy refused "${command}": ${said === "" ? "it answered nothing" : said}`, {
    code: "target_refused",
    disposition: "attention",
  });
}

function oneLine(answer: string): string {
  return answer.replace(/\s+/g, " ").trim().slice(0, 300);
}

function lines(answer: string): string[] {
  return answer.split("\n").filter((line) => line !== "");
}

/** Without its arguments. */
function words(command: string): string {
  return command.split(" ").slice(0, 3).join(" ");
}
