import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import { LISTENING, type Responders } from "../store/responders.ts";

/** Milliseconds that a responder has to open a port it is asked for, before its certificates are given up. */
const PATIENCE = 15_000;
const FRESH = 5_000;

/** Tells whether http-01 can be answered on a port. A good answer is believed for some seconds. */
export class RespondersInRedis {
  readonly #responders: Responders;
  readonly #clock: Clock;
  readonly #patience: number;
  readonly #ready = new Map<number, number>();
  readonly #asking = new Map<number, Promise<void>>();

  constructor(responders: Responders, clock: Clock, patience = PATIENCE) {
    this.#responders = responders;
    this.#clock = clock;
    this.#patience = patience;
  }

  /** Throws an AppError of disposition `node` when nobody answers on this port. */
  async ready(port: number): Promise<void> {
    if (this.#clock.now() - (this.#ready.get(port) ?? 0) < FRESH) return;
    // Many certificates ask for the same port at once: one of them looks.
    const asking = this.#asking.get(port) ?? this.#ask(port).finally(() => this.#asking.delete(port));
    this.#asking.set(port, asking);
    await asking;
  }

  async #ask(port: number): Promise<void> {
    await this.#responders.ask(port);
    const deadline = this.#clock.now() + this.#patience;
    let refusal: string | undefined;
    for (;;) {
      const states = await this.#responders.states(port, this.#clock.now());
      // The CA may come to any node: one that cannot listen leaves its part to the load balancer's health check.
      if (states.includes(LISTENING)) {
        this.#ready.set(port, this.#clock.now());
        return;
      }
      refusal = states.find((state) => state !== undefined) ?? refusal;
      if (this.#clock.now() >= deadline) break;
      await sleep(100);
    }
    throw new AppError(
      refusal ?? `No responder answers on port ${port}; start \`certherd up\` or the respond worker.`,
      {
        code: refusal ? "acme_port_taken" : "no_responder",
        disposition: "node",
      },
    );
  }
}
