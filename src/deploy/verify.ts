import { setMaxListeners } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { type Clock, systemClock } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import { type AskOptions, fingerprint, type Place, type Served, served } from "./served.ts";
import { Slots } from "./slots.ts";
import type { Bundle } from "./target.ts";

export { type Place, type Served, served } from "./served.ts";

export type Verdict =
  | { kind: "served" }
  | {
      kind: "wrong";
      /** The bundle's name under which it was seen. */
      name: string;
      /** Of what is served in its place; "" for nothing. */
      serial: string;
      differs: "leaf" | "chain";
      /** What is served, as a whole sentence that begins with "It". */
      detail: string;
    }
  | { kind: "unreachable"; error: AppError };

export interface VerifyOptions {
  /** Milliseconds after which no further look begins; 0 for one look. */
  within: number;
  /** Milliseconds between two looks, at most: they come faster at first. */
  interval?: number;
  /** Milliseconds for one handshake. */
  timeout?: number;
  signal?: AbortSignal;
  clock?: Clock;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<unknown>;
}

export interface VerifyAllOptions extends VerifyOptions {
  /** Handshakes in flight over all. */
  concurrency?: number;
}

const FIRST_INTERVAL = 50;
const INTERVAL = 1_000;
const TIMEOUT = 5_000;
const CONCURRENCY = 8;
/** Names of one certificate asked for at once. */
const NAMES_AT_ONCE = 4;

const BLOCK = /-----BEGIN CERTIFICATE-----([\s\S]+?)-----END CERTIFICATE-----/g;

function chainOf({ leafPem, issuersPem }: Pick<Bundle, "leafPem" | "issuersPem">): string[] {
  const blocks = `${leafPem}\n${issuersPem}`.matchAll(BLOCK);
  return Array.from(blocks, ([, text = ""]) => fingerprint(Buffer.from(text, "base64")));
}

/** Whether leaf and issuers came in their order; what a server sends behind them (a root) does no harm. */
export function isServed(what: Served, bundle: Pick<Bundle, "leafPem" | "issuersPem">): boolean {
  return holds(what, chainOf(bundle));
}

function holds({ fingerprints }: Served, chain: readonly string[]): boolean {
  return chain.every((each, index) => fingerprints[index] === each);
}

/** The SNI to ask with: for a wildcard a name below it that nobody has. */
export function probeName(name: string): string {
  return name.replace(/^\*\./, "certherd-probe.");
}

/**
 * Looks whether a node serves a certificate under each of its names, again and again until it does or the time is up:
 * a reload, or a second thread, takes its time. Takes `within` and the time of one look at most. Rejects with the
 * signal's reason once it is aborted.
 */
export async function verify(place: Place, bundle: Bundle, options: VerifyOptions): Promise<Verdict> {
  return await new Verifier(place, options, NAMES_AT_ONCE).verify(bundle);
}

/** The same for many certificates of one node, by their ids. */
export async function verifyAll(
  place: Place,
  bundles: readonly Bundle[],
  options: VerifyAllOptions,
): Promise<Map<string, Verdict>> {
  const verifier = new Verifier(place, options, options.concurrency ?? CONCURRENCY);
  const verdicts = await Promise.all(
    bundles.map(async (bundle) => [bundle.id, await verifier.verify(bundle)] as const),
  );
  return new Map(verdicts);
}

type Look = { kind: "right" } | { kind: "other"; what: Served } | { kind: "unreachable"; error: AppError };

class Verifier {
  readonly #place: Place;
  readonly #ask: AskOptions;
  readonly #clock: Clock;
  readonly #sleep: (ms: number, signal?: AbortSignal) => Promise<unknown>;
  readonly #longest: number;
  readonly #deadline: number;
  readonly #concurrency: number;
  readonly #slots: Slots;
  /** Looks that found nobody, since the last one that found somebody. */
  #lost = 0;
  #lastError: AppError | undefined;

  constructor(place: Place, options: VerifyOptions, concurrency: number) {
    const { within, signal, timeout = TIMEOUT, clock = systemClock } = options;
    // Each handshake and each wait listens to it.
    if (signal) setMaxListeners(0, signal);
    this.#place = place;
    this.#ask = { timeout, ...(signal && { signal }) };
    this.#clock = clock;
    this.#sleep = options.sleep ?? ((ms, aborted) => pause(ms, undefined, aborted && { signal: aborted }));
    this.#longest = options.interval ?? INTERVAL;
    this.#deadline = clock.now() + within;
    this.#concurrency = concurrency;
    this.#slots = new Slots(concurrency);
  }

  async verify(bundle: Bundle): Promise<Verdict> {
    const { signal } = this.#ask;
    const chain = chainOf(bundle);
    const own = new Slots(NAMES_AT_ONCE);
    let open = [...new Set(bundle.names)];
    for (let interval = FIRST_INTERVAL; ; interval *= 2) {
      const looks = await Promise.all(
        open.map(async (name) => ({ name, look: await own.run(() => this.#look(name, chain)) })),
      );
      const missing = looks.filter(({ look }) => look.kind !== "right");
      if (missing.length === 0) return { kind: "served" };
      const left = this.#deadline - this.#clock.now();
      if (left <= 0) return verdictOf(missing, bundle, chain);
      open = missing.map(({ name }) => name);
      await this.#sleep(Math.min(interval, this.#longest, left), signal).catch((error) => {
        signal?.throwIfAborted();
        throw error;
      });
    }
  }

  async #look(name: string, chain: readonly string[]): Promise<Look> {
    return await this.#slots.run(async () => {
      // Once the time is up, a node that is gone is not waited for by every certificate of a batch in turn.
      const isUp = this.#clock.now() > this.#deadline;
      if (isUp && this.#lost >= this.#concurrency && this.#lastError)
        return { kind: "unreachable", error: this.#lastError };
      try {
        const what = await served(this.#place, probeName(name), this.#ask);
        this.#lost = 0;
        return holds(what, chain) ? { kind: "right" } : { kind: "other", what };
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== "node_unreachable") throw error;
        this.#lost++;
        this.#lastError = error;
        return { kind: "unreachable", error };
      }
    });
  }
}

/** What was seen to be wrong says more than what was not seen. */
function verdictOf(
  looks: readonly { name: string; look: Look }[],
  bundle: Bundle,
  chain: readonly string[],
): Verdict {
  for (const { name, look } of looks) if (look.kind === "other") return wrong(name, look.what, bundle, chain);
  for (const { look } of looks) if (look.kind === "unreachable") return look;
  return { kind: "served" };
}

function wrong(name: string, what: Served, { serial }: Bundle, chain: readonly string[]): Verdict {
  const differs = what.fingerprints[0] === chain[0] ? "chain" : "leaf";
  return { kind: "wrong", name, serial: what.serial, differs, detail: detailOf(what, differs, serial) };
}

function detailOf(
  { serial, fingerprints, refusal }: Served,
  differs: "leaf" | "chain",
  wanted: string,
): string {
  if (refusal !== undefined) return `It serves no certificate there, as ${refusal}.`;
  if (differs === "leaf")
    return serial === wanted
      ? `It serves another certificate of the same serial ${serial}.`
      : `It serves serial ${serial}.`;
  return fingerprints.length === 1
    ? "It serves that certificate without its issuers."
    : "It serves that certificate with other issuers behind it, or in another order, than the CA sent.";
}
