/**
 * Tells from the answers to a client what happens at its CA: what was issued, what failed. Each is told once, when
 * the first answer shows it; what no client asks about is never known.
 */
import type { Answer, Exchange } from "./gate.ts";
import { headerOf } from "./gate.ts";
import { isObject, parseJson } from "./jws.ts";

export interface Events {
  /** A certificate for these names, of one order. */
  issued(names: readonly string[]): void;
  failed(account: string, name: string): void;
  succeeded(account: string, name: string): void;
  /** A client had the CA look at a challenge of that name. */
  validation(name: string): void;
}

interface Order {
  account: string;
  names: readonly string[];
  validated: boolean;
  issued: boolean;
}

interface Authorization {
  account: string;
  name: string;
  pending: boolean;
}

export class AcmeWatch {
  readonly #events: Events;
  /** By the URL of an order, and by its finalize URL. */
  readonly #orders = new Map<string, Order>();
  readonly #authorizations = new Map<string, Authorization>();
  /** By the URL of a challenge: its authorization, and whether it was asked to be looked at. */
  readonly #challenges = new Map<string, { authorization: Authorization; started: boolean }>();

  constructor(events: Events) {
    this.#events = events;
  }

  /** An answer of the CA's. */
  see(exchange: Exchange, answer: Answer): void {
    if (answer.status >= 300) return;
    if (exchange.kind === "newOrder") this.#newOrder(exchange, answer);
    else if (exchange.kind === "order" || exchange.kind === "finalize") this.#order(exchange, answer);
    else if (exchange.kind === "authz") this.#authorization(exchange, answer);
    else if (exchange.kind === "challenge") this.#challenge(exchange, answer);
  }

  #newOrder({ jws }: Exchange, answer: Answer): void {
    const location = headerOf(answer, "location");
    if (jws?.kid === undefined || location === undefined) return;
    const order = { account: jws.kid, names: namesOf(jws.payload), validated: false, issued: false };
    this.#orders.set(location, order);
    const { finalize } = readObject(answer);
    if (typeof finalize === "string") this.#orders.set(finalize, order);
  }

  #order({ url }: Exchange, answer: Answer): void {
    const order = this.#orders.get(url);
    if (!order || order.issued) return;
    const status = `${readObject(answer).status}`;
    if (!order.validated && /^(ready|processing|valid)$/.test(status)) {
      order.validated = true;
      for (const name of order.names) this.#events.succeeded(order.account, name);
    }
    // From `processing` on nothing can go wrong, and the client may never ask again.
    if (/^(processing|valid)$/.test(status)) {
      order.issued = true;
      this.#events.issued(order.names);
    }
  }

  #authorization({ url, jws }: Exchange, answer: Answer): void {
    const { identifier, wildcard, status, challenges } = readObject(answer);
    if (jws?.kid === undefined || !isObject(identifier)) return;
    let known = this.#authorizations.get(url);
    if (!known) {
      const name = `${wildcard === true ? "*." : ""}${identifier.value}`.toLowerCase();
      known = { account: jws.kid, name, pending: true };
      this.#authorizations.set(url, known);
    }
    for (const challenge of Array.isArray(challenges) ? challenges : []) {
      const at: unknown = isObject(challenge) ? challenge.url : undefined;
      if (typeof at === "string" && !this.#challenges.has(at)) {
        this.#challenges.set(at, { authorization: known, started: false });
      }
    }
    this.#settle(known, status);
  }

  #challenge({ url, jws }: Exchange, answer: Answer): void {
    const challenge = this.#challenges.get(url);
    if (!challenge) return;
    if (!challenge.started && jws?.payload !== "") {
      challenge.started = true;
      this.#events.validation(challenge.authorization.name);
    }
    this.#settle(challenge.authorization, readObject(answer).status);
  }

  #settle(authorization: Authorization, status: unknown): void {
    if (!authorization.pending || typeof status !== "string") return;
    authorization.pending = /^(pending|processing)$/.test(status);
    const { account, name } = authorization;
    // Boulder counts an authorization that is given up while pending as a failed one.
    if (status === "invalid" || status === "deactivated") this.#events.failed(account, name);
    if (status === "valid") this.#events.succeeded(account, name);
  }
}

/** The names that a newOrder asks for, as they are sent. */
export function namesOf(payload: unknown): string[] {
  const identifiers = isObject(payload) && Array.isArray(payload.identifiers) ? payload.identifiers : [];
  const values = identifiers.map((each: unknown) => (isObject(each) ? each.value : undefined));
  return values.filter((value) => typeof value === "string");
}

function readObject(answer: Answer): Record<string, unknown> {
  const value = parseJson(answer.body.toString("utf8"));
  return isObject(value) ? value : {};
}
