import { dirname } from "node:path";
import type { HaproxyTarget } from "../../../config/terminations.ts";
import { AppError } from "../../../core/errors.ts";
import type { Bundle } from "../../target.ts";
import { misconfigured } from "../owner.ts";
import { isSame, pemOf, shownOf } from "./certificate.ts";
import { busyWith, type RuntimeCommands } from "./commands.ts";

/** Throws `node_misconfigured` unless this is a socket through which certificates can be changed. */
export async function checkLevel(commands: RuntimeCommands, socket: string): Promise<void> {
  const level = await commands.level();
  if (level === "admin") return;
  throw misconfigured(
    `HAProxy's socket ${socket} is of level ${level}, and certificates need admin. Write "level admin" on its "stats socket" line in HAProxy's configuration, and restart it.`,
  );
}

/** Throws `node_misconfigured` unless HAProxy uses this crt-list, by this very name. */
export async function checkInUse(commands: RuntimeCommands, crtList: string): Promise<void> {
  const inUse = await commands.crtLists();
  if (inUse.includes(crtList)) return;
  const are = inUse.length === 0 ? "it uses none" : `those in use are: ${inUse.join(", ")}`;
  throw misconfigured(
    `HAProxy does not use the crt-list ${crtList} (${are}). Write "crt-list ${crtList}" on a bind line and restart it, or correct "crtList" of this node.`,
  );
}

/**
 * Ends a transaction that a crash of ours has left open. HAProxy has one for all its clients: throws `node_busy` when
 * it is about a file that is not ours.
 */
export async function endOwnTransaction(commands: RuntimeCommands, certDir: string): Promise<void> {
  const file = await commands.transaction();
  if (file === undefined) return;
  if (dirname(file) !== certDir) throw busyWith(file);
  await commands.abort(file);
}

/** What HAProxy has in memory, for one batch. */
export class Runtime {
  readonly #commands: RuntimeCommands;
  readonly #config: HaproxyTarget;
  readonly #onDisk: ReadonlySet<string>;
  #listed: Promise<Set<string>> | undefined;

  /** `onDisk` has the files that the crt-list on disk names. */
  constructor(commands: RuntimeCommands, config: HaproxyTarget, onDisk: ReadonlySet<string>) {
    this.#commands = commands;
    this.#config = config;
    this.#onDisk = onDisk;
  }

  /** Has a certificate served, new or renewed; nothing is sent where it is already. Throws what HAProxy refuses. */
  async put(bundle: Bundle, file: string): Promise<void> {
    const stored = await this.#commands.stored(file);
    // An empty one is what a crash has left, and counts as not there.
    if (stored?.shown === undefined) {
      if (stored === undefined) await this.#commands.create(file);
      await this.#orDelete(file, async () => {
        await this.#change(file, pemOf(bundle));
        await this.#add(file);
      });
      return;
    }
    if (!isSame(stored.shown, shownOf(bundle))) await this.#change(file, pemOf(bundle));
    if (!stored.used || !(await this.#isListed(file))) await this.#add(file);
  }

  /** Whether nothing in HAProxy uses the file any more. */
  async remove(file: string): Promise<boolean> {
    await this.#commands.takeOut(this.#config.crtList, file);
    return await this.#commands.delete(file);
  }

  async #change(file: string, pem: string): Promise<void> {
    try {
      await this.#commands.set(file, pem);
      await this.#commands.commit(file);
    } catch (error) {
      if (isRefusal(error)) await this.#commands.abort(file);
      throw error;
    }
  }

  async #add(file: string): Promise<void> {
    await this.#commands.add(this.#config.crtList, file, this.#config.options);
  }

  async #orDelete(file: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (isRefusal(error)) await this.#commands.delete(file);
      throw error;
    }
  }

  /**
   * Whether a used certificate is used by our crt-list. HAProxy tells no more than "Used", and would add it a second
   * time. A line on disk is there only after it was taken in memory, or at HAProxy's start. Without one, either we
   * crashed in between, or another crt-list has it: then the whole list is asked for, O(all) but once for a batch.
   */
  async #isListed(file: string): Promise<boolean> {
    if (this.#onDisk.has(file)) return true;
    this.#listed ??= this.#commands.listed(this.#config.crtList);
    return (await this.#listed).has(file);
  }
}

/** HAProxy answered, and said no to this one certificate. */
export function isRefusal(error: unknown): error is AppError {
  return error instanceof AppError && error.code === "target_refused";
}
