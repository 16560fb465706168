import { connect, type Socket } from "node:net";
import { AppError } from "../../../core/errors.ts";

/** After an answer, in interactive mode. */
const PROMPT = "\n> ";

/**
 * One connection to HAProxy's runtime socket in interactive mode, in which it stays open for any number of commands
 * (https://docs.haproxy.org/2.6/management.html#9.3). One command at a time: an answer ends at the next prompt.
 */
export class RuntimeConnection {
  readonly #where: string;
  readonly #timeout: number;
  readonly #socket: Socket;
  #text = "";
  #ended: AppError | undefined;
  #waiting: { resolve: (answer: string) => void; reject: (error: AppError) => void } | undefined;

  private constructor(where: string, timeout: number) {
    this.#where = where;
    this.#timeout = timeout;
    this.#socket = connect(addressOf(where));
    this.#socket.setEncoding("utf8");
    this.#socket.on("data", (text: string) => this.#take(text));
    this.#socket.on("error", (error: NodeJS.ErrnoException) => this.#end(why(error)));
    this.#socket.on("close", () => this.#end("closes the connection without an answer"));
  }

  /** Throws `node_unreachable`. `timeout`: milliseconds for each answer. */
  static async open(where: string, timeout: number): Promise<RuntimeConnection> {
    const connection = new RuntimeConnection(where, timeout);
    await connection.command("prompt");
    return connection;
  }

  /** What HAProxy answers, without the blank space around it. A payload is sent without its blank lines, which end it. */
  async command(line: string, payload?: string): Promise<string> {
    if (this.#ended) throw this.#ended;
    const answer = new Promise<string>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    const timer = setTimeout(() => {
      this.#end(`does not answer within ${this.#timeout / 1_000} s`);
      this.#socket.destroy();
    }, this.#timeout);
    this.#socket.write(wireForm(line, payload));
    try {
      // In payload mode each line is answered by a prompt of its own.
      return (await answer).replace(/^(\+ )+/, "").trim();
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#text += text;
    if (!this.#text.endsWith(PROMPT)) return;
    const answer = this.#text.slice(0, -PROMPT.length);
    this.#text = "";
    this.#waiting?.resolve(answer);
    this.#waiting = undefined;
  }

  #end(what: string): void {
    this.#ended ??= new AppError(
      `HAProxy's runtime socket ${this.#where} ${what}. Look whether HAProxy runs, and has "stats socket ${this.#where} level admin" in its global section.`,
      { code: "node_unreachable", disposition: "unavailable" },
    );
    this.#waiting?.reject(this.#ended);
    this.#waiting = undefined;
  }
}

/** The bytes of a command as they are sent: HAProxy takes all of them into one buffer. */
export function wireForm(line: string, payload?: string): string {
  return payload === undefined ? `${line}\n` : `${line} <<\n${payload.replace(/\n{2,}/g, "\n").trim()}\n\n`;
}

function addressOf(where: string): { path: string } | { host: string; port: number } {
  if (where.startsWith("/")) return { path: where };
  const at = where.lastIndexOf(":");
  return { host: where.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(where.slice(at + 1)) };
}

function why({ code, message }: NodeJS.ErrnoException): string {
  if (code === "ENOENT") return "is not there";
  if (code === "ECONNREFUSED") return "has nobody behind it";
  if (code === "EACCES") return "may not be used by this user";
  return `cannot be used (${code ?? message})`;
}
