import { setTimeout as sleep } from "node:timers/promises";
import { isCode } from "../store/atomic.ts";
import type { Challenges } from "../store/challenges.ts";
import { LISTENING, type Responders } from "../store/responders.ts";
import { ChallengeListener, type Lookup } from "./listener.ts";

/** Milliseconds between two looks at which ports are asked for; the first certificate of a port waits for one. */
const LOOK = 500;
/** Looks between two tries of a port that could not be had. */
const RETRY_LOOKS = 4;
const REMEMBERED = 1_000;
/** Milliseconds: how long a responder that is to end stays for validations under way, and when none comes any more. */
const LINGER_LEAST = 4_000;
const LINGER_MOST = 12_000;
const QUIET = 2_000;

export interface RespondOptions {
  /** The address that the listeners bind to. */
  host: string;
  /** Unlike any other responder's: node and process. */
  name: string;
  challenges: Challenges;
  responders: Responders;
  /** How many certificates the CA has been asked to validate, and has not yet. */
  validating: () => Promise<number>;
  log: (line: string) => void;
}

/**
 * Listens on every ACMEPort that is in use, and tells in Redis how that went. A port that something else has taken
 * is tried again, and hurts no other port.
 */
export class RespondService {
  readonly #options: RespondOptions;
  readonly #listeners = new Map<number, ChallengeListener>();
  readonly #states = new Map<number, string>();
  readonly #lookup: Lookup;
  readonly #startedAt = Date.now();
  #askedAt = 0;
  #looks = 0;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: RespondOptions) {
    this.#options = options;
    const lookup = remembering((token) => options.challenges.get(token));
    this.#lookup = (token) => {
      this.#askedAt = Date.now();
      return lookup(token);
    };
  }

  async start(): Promise<this> {
    await this.#look();
    this.#schedule();
    return this;
  }

  /** A validation that meets a closed port has failed, and is counted by the CA: those under way are waited for. */
  async close(): Promise<void> {
    await this.#linger();
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#turn;
    await this.#options.responders.leave(this.#options.name).catch(() => undefined);
    await Promise.all([...this.#listeners.values()].map((listener) => listener.close()));
  }

  async #linger(): Promise<void> {
    const begun = Date.now();
    // Without an answer there may be some.
    const unknown = sleep(1_000, 1, { ref: false });
    const validating = await Promise.race([this.#options.validating().catch(() => 1), unknown]);
    if (validating === 0) return;
    for (let now = begun; now - begun < LINGER_MOST; now = Date.now()) {
      if (now - begun >= LINGER_LEAST && now - this.#askedAt >= QUIET) return;
      await sleep(100);
    }
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      // An outage of Redis is no reason to stop listening: what is open stays open, and the next look comes.
      this.#turn = this.#look()
        .catch(() => undefined)
        .then(() => this.#schedule());
    }, LOOK);
  }

  async #look(): Promise<void> {
    const { responders, name } = this.#options;
    const retry = this.#looks++ % RETRY_LOOKS === 0;
    for (const port of await responders.asked())
      if (!this.#listeners.has(port) && (retry || !this.#states.has(port))) await this.#listen(port);
    await responders.report(name, this.#states, Date.now(), this.#startedAt);
  }

  async #listen(port: number): Promise<void> {
    const { host, log } = this.#options;
    try {
      this.#listeners.set(port, await ChallengeListener.listen(host, port, this.#lookup));
      this.#states.set(port, LISTENING);
    } catch (error) {
      const state = reasonOf(error, host, port);
      if (this.#states.get(port) !== state) log(state);
      this.#states.set(port, state);
    }
  }
}

/** A CA asks from several places at once (Let's Encrypt from five): one of them asks Redis. */
function remembering(lookup: Lookup): Lookup {
  const answers = new Map<string, string>();
  return async (token) => {
    const known = answers.get(token);
    if (known !== undefined) return known;
    const answer = await lookup(token);
    const oldest = answers.size >= REMEMBERED ? answers.keys().next().value : undefined;
    if (oldest !== undefined) answers.delete(oldest);
    // What is not there yet may be there in a moment.
    if (answer !== undefined) answers.set(token, answer);
    return answer;
  };
}

function reasonOf(error: unknown, host: string, port: number): string {
  if (isCode(error, "EADDRINUSE"))
    return `Port ${port} on ${host} is taken by another program; stop that program (ss -ltnp shows it), or use another ACMEPort.`;
  if (isCode(error, "EACCES"))
    return `Port ${port} on ${host} may not be opened by this user; use an ACMEPort of 1024 or more, or grant CAP_NET_BIND_SERVICE.`;
  if (isCode(error, "EADDRNOTAVAIL"))
    return `The address ${host} is not one of this host's; correct acmeListen.`;
  return `Port ${port} on ${host} cannot be opened: ${error instanceof Error ? error.message : error}.`;
}
