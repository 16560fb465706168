import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { AppError } from "../../../core/errors.ts";
import { isCode } from "../../../store/atomic.ts";
import { misconfigured } from "../owner.ts";

/** In interactive mode each answer ends in it (doc/management.txt, "Unix Socket commands"). */
const PROMPT = "\n> ";
/** For each line of a payload HAProxy sends a prompt of its own before the answer. */
const PAYLOAD_PROMPTS = /^(\+ )+/;

export interface SocketSettings {
  /** Path of the unix socket, or `host:port`. */
  socket: string;
  /** Milliseconds. */
  timeout: number;
}

/**
 * One connection to HAProxy's runtime socket, in interactive mode. One command at a time: from 3.2 on, commands that are
 * sent ahead are answered without a prompt, and then nothing tells where an answer ends.
 */
export class RuntimeConnection {
  readonly #socket: Socket;
  readonly #settings: SocketSettings;
  /** A crt-list's answer can have megabytes: it is put together once it is whole. */
  #received: string[] = [];
  #tail = "";
  #ended: AppError | undefined;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket, settings: SocketSettings) {
    this.#socket = socket;
    this.#settings = settings;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      this.#received.push(text);
      this.#tail = (this.#tail + text).slice(-PROMPT.length);
      this.#wake();
    });
    socket.on("error", (error) => this.#end(unreachable(settings.socket, error.message, error)));
    socket.on("close", () => this.#end(unreachable(settings.socket, "the connection was closed")));
    // Silence, not length: a long answer that keeps coming is no fault.
    socket.on("timeout", () => {
      this.#end(unreachable(settings.socket, `no answer for ${settings.timeout} ms`));
      socket.destroy();
    });
  }

  /** Throws `node_unreachable`, or `node_misconfigured` where this user may not open the socket. */
  static async open(settings: SocketSettings): Promise<RuntimeConnection> {
    const socket = connect(addressOf(settings.socket));
    socket.setTimeout(settings.timeout, () =>
      socket.destroy(new Error(`no answer for ${settings.timeout} ms`)),
    );
    try {
      await once(socket, "connect");
    } catch (error) {
      socket.destroy();
      throw notOpened(settings.socket, error);
    }
    socket.removeAllListeners("timeout");
    const connection = new RuntimeConnection(socket, settings);
    try {
      await connection.ask("prompt");
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  /**
   * The answer to one command, without prompts. `payload` goes below the command; its blank line is put here. Throws
   * `node_unreachable` when no whole answer comes.
   */
  async ask(command: string, payload?: string): Promise<string> {
    if (this.#ended) throw this.#ended;
    this.#received = [];
    this.#tail = "";
    this.#socket.setTimeout(this.#settings.timeout);
    this.#socket.write(requestOf(command, payload));
    await this.#answered();
    this.#socket.setTimeout(0);
    return this.#received.join("").slice(0, -PROMPT.length).replace(PAYLOAD_PROMPTS, "");
  }

  async #answered(): Promise<void> {
    while (this.#tail !== PROMPT) {
      if (this.#ended) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #end(error: AppError): void {
    this.#ended ??= error;
    this.#wake();
  }
}

/** What goes over the wire: a blank line ends a payload, so it may hold none itself. */
export function requestOf(command: string, payload?: string): string {
  if (payload === undefined) return `${command}\n`;
  const lines = payload.split(/\r?\n/).filter((line) => line.trim() !== "");
  return `${command} <<\n${lines.join("\n")}\n\n`;
}

function addressOf(socket: string): { path: string } | { host: string; port: number } {
  if (socket.startsWith("/")) return { path: socket };
  const at = socket.lastIndexOf(":");
  return { host: socket.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(socket.slice(at + 1)) };
}

function notOpened(socket: string, error: unknown): AppError {
  if (isCode(error, "EACCES"))
    return misconfigured(
      `HAProxy's socket ${socket} cannot be opened by this user. Set user, group or mode of its "stats socket" line in HAProxy's configuration.`,
      error,
    );
  return unreachable(socket, error instanceof Error ? error.message : String(error), error);
}

function unreachable(socket: string, reason: string, cause?: unknown): AppError {
  return new AppError(
    `HAProxy cannot be reached over ${socket}: ${reason}. Start HAProxy, or correct "socket" of this node.`,
    { code: "node_unreachable", disposition: "unavailable", cause },
  );
}
