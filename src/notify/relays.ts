import type { Clock } from "../core/clock.ts";

/** Milliseconds. */
export interface RelayTimes {
  /** A relay that failed is not asked for this long, so that each of its mails does not wait for a timeout. */
  rest: number;
  /** A relay that takes longer for a mail counts as slow. */
  slow: number;
}

/** Whether a mail may be sent: with `leave` to be called after it, or not now. */
export type Entry =
  | { kind: "open"; leave: (worked: boolean) => void }
  /** It failed a moment ago; this try failed, too. */
  | { kind: "resting" }
  /** Others are with it, and it is slow; come again. */
  | { kind: "busy" };

interface Relay {
  /** When each mail that is being sent was begun. */
  begun: Set<{ at: number }>;
  failed: boolean;
  restUntil: number;
  took: number;
}

const REMEMBERED = 1_000;
const AT_ONCE_WHEN_SLOW = 2;

/**
 * Keeps a relay that is down or slow from taking up every place, as seen by this process. One that failed rests,
 * and is then tried with a single mail; one that is slow gets two at a time; any other as many as there are.
 */
export class Relays {
  readonly #relays = new Map<string, Relay>();
  readonly #times: RelayTimes;
  readonly #clock: Clock;

  constructor(times: RelayTimes, clock: Clock) {
    this.#times = times;
    this.#clock = clock;
  }

  enter(name: string): Entry {
    const now = this.#clock.now();
    const relay = this.#relay(name);
    if (now < relay.restUntil) return { kind: "resting" };
    if (relay.begun.size >= this.#room(relay, now)) return { kind: "busy" };
    const mail = { at: now };
    relay.begun.add(mail);
    return { kind: "open", leave: (worked) => this.#leave(relay, mail, worked) };
  }

  #leave(relay: Relay, mail: { at: number }, worked: boolean): void {
    const now = this.#clock.now();
    relay.begun.delete(mail);
    relay.took = now - mail.at;
    relay.failed = !worked;
    relay.restUntil = worked ? 0 : now + this.#times.rest;
  }

  #room(relay: Relay, now: number): number {
    if (relay.failed) return 1;
    const { slow } = this.#times;
    const isSlow = relay.took > slow || [...relay.begun].some(({ at }) => now - at > slow);
    return isSlow ? AT_ONCE_WHEN_SLOW : Number.POSITIVE_INFINITY;
  }

  #relay(name: string): Relay {
    const known = this.#relays.get(name);
    if (known) return known;
    // Rows may name any number of relays; what is known of those at rest can be found out again.
    if (this.#relays.size >= REMEMBERED)
      for (const [other, { begun }] of this.#relays) if (begun.size === 0) this.#relays.delete(other);
    const relay = { begun: new Set<{ at: number }>(), failed: false, restUntil: 0, took: 0 };
    this.#relays.set(name, relay);
    return relay;
  }
}
