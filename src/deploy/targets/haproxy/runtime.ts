import { AppError } from "../../../core/errors.ts";
import { misconfigured } from "../owner.ts";
import { RuntimeConnection, wireForm } from "./connection.ts";

/** What HAProxy has in memory under a file's name. `used`: some `bind` line serves it. */
export type Loaded =
  | { kind: "unknown" }
  | { kind: "empty" }
  | { kind: "loaded"; serial: string; used: boolean };

/** `tune.bufsize` where it cannot be found out (https://docs.haproxy.org/2.6/configuration.html#tune.bufsize). */
const BUFFER = 16_384;

/**
 * The commands about certificates (HAProxy 2.2 and newer), each with the words by which it is known to have worked:
 * whatever else is answered counts as a failure, as HAProxy has no codes for them.
 */
export class Runtime {
  readonly #connection: RuntimeConnection;

  private constructor(connection: RuntimeConnection) {
    this.#connection = connection;
  }

  static async open(socket: string, timeout: number): Promise<Runtime> {
    return new Runtime(await RuntimeConnection.open(socket, timeout));
  }

  close(): void {
    this.#connection.close();
  }

  async info(): Promise<{ version: string; pid: number; uptime: string }> {
    const text = await this.#connection.command("show info");
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(text)?.[1] ?? "";
    return { version: field("Version"), pid: Number(field("Pid")), uptime: field("Uptime") };
  }

  /** `admin` is what certificates take. */
  async level(): Promise<string> {
    return await this.#connection.command("show cli level");
  }

  async crtLists(): Promise<string[]> {
    const text = await this.#connection.command("show ssl crt-list");
    return text.split("\n").filter((line) => line.startsWith("/"));
  }

  /** Files in one crt-list as it is in memory; as long as the list is. */
  async listed(crtList: string): Promise<Set<string>> {
    const text = await this.#connection.command(`show ssl crt-list ${crtList}`);
    const files = text.split("\n").map((line) => line.replaceAll("\0", "").split(/[ :[]/)[0] ?? "");
    return new Set(files.filter((file) => file.startsWith("/")));
  }

  /** Bytes that a command and its payload must stay below: HAProxy 2.6 closes the connection beyond, or dies. */
  async buffer(): Promise<number> {
    const text = await this.#connection.command("show pools");
    return Number(/Pool buffer \((\d+) bytes\)/.exec(text)?.[1] ?? BUFFER);
  }

  /** The file that an unfinished transaction is about. HAProxy has one at a time, whoever began it. */
  async transaction(): Promise<string | undefined> {
    const text = await this.#connection.command("abort ssl cert /certherd/none");
    if (/^No ongoing transaction/.test(text)) return undefined;
    return /ongoing transaction is about '([^']+)'/.exec(text)?.[1];
  }

  async abort(file: string): Promise<void> {
    await this.#connection.command(`abort ssl cert ${file}`);
  }

  async loaded(file: string): Promise<Loaded> {
    const text = await this.#connection.command(`show ssl cert ${file}`);
    const field = (name: string): string | undefined => new RegExp(`^${name}: *(.*)$`, "m").exec(text)?.[1];
    const status = field("Status");
    if (status === undefined) return { kind: "unknown" };
    const serial = field("Serial");
    if (serial === undefined) return { kind: "empty" };
    return { kind: "loaded", serial: serial.toUpperCase(), used: status.startsWith("Used") };
  }

  async create(file: string): Promise<void> {
    await this.#expect(`new ssl cert ${file}`, /^New empty certificate store/);
  }

  /** Replaces what is served under this file's name: set, then commit, at which every `bind` line changes over. */
  async replace(file: string, pem: string): Promise<void> {
    try {
      const set = setLine(file);
      const answer = await this.#connection.command(set, pem);
      // Into another one's transaction, as HAProxy 2.6 does where one is open, it must not go.
      if (!answer.includes(`for certificate ${file}!`)) throw refused(set, answer);
      await this.#expect(`commit ssl cert ${file}`, /Success!/);
    } catch (error) {
      await this.#connection.command(`abort ssl cert ${file}`).catch(() => "");
      throw error;
    }
  }

  /** `options`: as they stand in brackets in a crt-list. */
  async list(crtList: string, file: string, options: string | undefined): Promise<void> {
    const payload = options === undefined ? undefined : `${file} [${options}]`;
    const line = `add ssl crt-list ${crtList}${payload === undefined ? ` ${file}` : ""}`;
    const answer = await this.#connection.command(line, payload);
    if (!/Success!/.test(answer)) throw refused(line, answer);
  }

  /** It may stand in the list more than once, by somebody's hand. */
  async unlist(crtList: string, file: string): Promise<void> {
    const line = `del ssl crt-list ${crtList} ${file}`;
    const answer = await this.#connection.command(line);
    if (!/deleted in crtlist|can't be found|does not exist|doesn't exist/.test(answer))
      throw refused(line, answer);
  }

  async forget(file: string): Promise<void> {
    const line = `del ssl cert ${file}`;
    const answer = await this.#connection.command(line);
    if (!/deleted!|doesn't exist/.test(answer)) throw refused(line, answer);
  }

  async #expect(line: string, success: RegExp): Promise<void> {
    const answer = await this.#connection.command(line);
    if (!success.test(answer)) throw refused(line, answer);
  }
}

function setLine(file: string): string {
  return `set ssl cert ${file}`;
}

/** Bytes that it takes to hand a certificate over. */
export function sizeOf(file: string, pem: string): number {
  return Buffer.byteLength(wireForm(setLine(file), pem));
}

function refused(line: string, answer: string): AppError {
  if (/permission denied/i.test(answer))
    return misconfigured(
      `HAProxy does not permit "${line.split(" ").slice(0, 3).join(" ")}" on its runtime socket: write "level admin" behind it in the global section.`,
    );
  const words = answer.replace(/\s+/g, " ").slice(0, 300) || "nothing";
  return new AppError(`HAProxy refuses it: to "${line}" it answers "${words}".`, {
    code: "target_refused",
    disposition: "attention",
  });
}

export function notInUse(crtList: string, known: readonly string[]): AppError {
  const others = known.length > 0 ? `it has ${known.join(", ")}` : "it has none";
  return misconfigured(
    `HAProxy does not use the crt-list ${crtList}; ${others}. Write "crt-list ${crtList}" on its bind line, behind a "crt" with a default certificate, and reload it once.`,
  );
}
