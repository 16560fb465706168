import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import { LISTENING, type Responders } from "../store/responders.ts";

/** Milliseconds that a responder has to open a port it is asked for, before its certificates are given up. */
const PATIENCE = 10_000;
/** Milliseconds for which what was found is believed. */
const FRESH = 5_000;
const REFUSED = 10_000;

/** Tells whether http-01 can be answered on a port. An answer is believed for some seconds, a refusal for longer. */
export class RespondersInRedis {
  readonly #responders: Responders;
  readonly #clock: Clock;
  readonly #patience: number;
  readonly #ready = new Map<number, number>();
  readonly #refused = new Map<number, { until: number; error: AppError }>();
  readonly #asking = new Map<number, Promise<void>>();

  constructor(responders: Responders, clock: Clock, patience = PATIENCE) {
    this.#responders = responders;
    this.#clock = clock;
    this.#patience = patience;
  }

  /** Throws an AppError of disposition `node` when nobody answers on this port. */
  async ready(port: number): Promise<void> {
    const now = this.#clock.now();
    if (now - (this.#ready.get(port) ?? 0) < FRESH) return;
    const refused = this.#refused.get(port);
    if (refused && now < refused.until) throw refused.error;
    // Many certificates ask for the same port at once: one of them looks.
    const asking = this.#asking.get(port) ?? this.#ask(port).finally(() => this.#asking.delete(port));
    this.#asking.set(port, asking);
    await asking;
  }

  /** Whether a responder has begun since then: before, the CA may have found a closed port where it looked. */
  async begunSince(at: number): Promise<boolean> {
    return (await this.#responders.latestStart(this.#clock.now())) > at;
  }

  async #ask(port: number): Promise<void> {
    const refusal = await this.#lookFor(port);
    if (refusal === undefined) {
      this.#ready.set(port, this.#clock.now());
      return;
    }
    const error = new AppError(refusal.reason, { code: refusal.code, disposition: "node" });
    // The next thousand certificates of this port need not wait as long as the first one.
    this.#refused.set(port, { until: this.#clock.now() + REFUSED, error });
    throw error;
  }

  /** Undefined once somebody listens; else why nobody does, after all patience. */
  async #lookFor(port: number): Promise<{ reason: string; code: string } | undefined> {
    await this.#responders.ask(port);
    const deadline = this.#clock.now() + this.#patience;
    let refusal: string | undefined;
    for (;;) {
      const states = await this.#responders.states(port, this.#clock.now());
      // The CA may come to any node: one that cannot listen leaves its part to the load balancer's health check.
      if (states.includes(LISTENING)) return undefined;
      refusal = states.find((state) => state !== undefined) ?? refusal;
      if (this.#clock.now() >= deadline) break;
      await sleep(100);
    }
    if (refusal !== undefined) return { reason: refusal, code: "acme_port_taken" };
    const reason = `No responder answers on port ${port}; start \`certherd up\` or the respond worker.`;
    return { reason, code: "no_responder" };
  }
}
