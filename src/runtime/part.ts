import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { AppError, asAppError, type ErrorDetails } from "../core/errors.ts";
import type { Role } from "../store/alive.ts";
import type { Log } from "./house.ts";
import type { Service } from "./service.ts";

/** Milliseconds until one that has ended by itself is started again: at first, and at most. */
const AGAIN = { first: 1_000, most: 30_000 };
/** Milliseconds after which one has lived long enough for its next end to count as the first. */
const SETTLED = 60_000;

/** What a part says to the process that it belongs to: that it has started, or why it has not. */
export interface PartMessage {
  failed?: Fault;
}

type Fault = Pick<ErrorDetails, "code" | "disposition"> & { message: string; stack?: string | undefined };

/** What it is told. If the channel closes instead, the other one was killed. */
export const STOP = "stop";

const PROGRAM = new URL("./apart.js", import.meta.url);

/**
 * A role in a process that is a part of this one: it starts and ends with it, and is started again if it ends by
 * itself. What it writes goes where this one writes. The other side is `runPart`.
 */
export class Part implements Service {
  readonly #role: Role;
  readonly #log: Log;
  #child: ChildProcess | undefined;
  #delay = AGAIN.first;
  #again: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(role: Role, log: Log) {
    this.#role = role;
    this.#log = log;
  }

  /** Resolves when it has started; throws what it could not start for. */
  async start(): Promise<void> {
    const child = fork(PROGRAM, [this.#role], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child = child;
    await started(child, this.#what);
    const startedAt = performance.now();
    child.once("exit", (code, signal) => {
      if (performance.now() - startedAt > SETTLED) this.#delay = AGAIN.first;
      this.#startAgain(`${this.#what} has ended (${signal ?? `exit code ${code}`})`);
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#again);
    const child = this.#child;
    if (child === undefined || hasEnded(child)) return;
    const ended = once(child, "exit");
    // One that is about to end by itself takes no message any more.
    if (child.connected) child.send(STOP, () => undefined);
    await ended;
  }

  /** Begins a sentence. */
  get #what(): string {
    return `The process of ${this.#role}`;
  }

  #startAgain(why: string): void {
    if (this.#closing) return;
    this.#log(`${why}; it is started again in ${this.#delay / 1_000} s.`);
    this.#again = setTimeout(() => {
      this.start().catch((error: Error) =>
        this.#startAgain(`${this.#what} does not start: ${error.message}`),
      );
    }, this.#delay);
    this.#delay = Math.min(this.#delay * 2, AGAIN.most);
  }
}

async function started(child: ChildProcess, what: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onExit = (code: number | null, signal: NodeJS.Signals | null): void =>
      reject(unavailable(`${what} ended before it had started (${signal ?? `exit code ${code}`}).`));
    child.once("exit", onExit);
    child.on("error", (error) => reject(unavailable(`${what} cannot be started: ${error.message}`)));
    child.once("message", ({ failed }: PartMessage) => {
      child.off("exit", onExit);
      if (failed === undefined) resolve();
      else once(child, "exit").then(() => reject(errorOf(failed)));
    });
  });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

/** An error as one process tells it to the other. */
export function faultOf(error: unknown): Fault {
  const { message, code, disposition, cause } = asAppError(error);
  return { message, code, disposition, stack: cause instanceof Error ? cause.stack : undefined };
}

function errorOf({ message, stack, ...details }: Fault): AppError {
  return new AppError(message, { ...details, cause: Object.assign(new Error(message), { stack }) });
}

function unavailable(message: string): AppError {
  return new AppError(message, { code: "part_ended", disposition: "unavailable" });
}
