import rateLimit from "@fastify/rate-limit";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { AppError } from "../../core/errors.ts";
import { shown } from "../../intake/row.ts";
import type { ApiDeps } from "../deps.ts";
import type { Caller } from "../tokens.ts";

const MINUTE = 60_000;
/** Wrong tokens from one address in a minute, after which nobody new is let in from there until it is over. */
const MOST_WRONG = 20;
/** Callers and addresses that are remembered; the oldest are forgotten. */
const REMEMBERED = 10_000;

type Deps = Pick<ApiDeps, "audit" | "log"> & { ratePerMinute: number };

/** Counts in this process' memory. An IPv6 address counts with its /64, as that is what one customer has. */
export class Rates {
  readonly #requests: ReturnType<FastifyInstance["createRateLimit"]>;
  readonly #wrong: ReturnType<FastifyInstance["createRateLimit"]>;
  readonly #deps: Deps;
  /** Who has shown a right token from where: they are not to suffer for the wrong ones of others behind one address. */
  readonly #known = new Set<string>();

  constructor(app: FastifyInstance, deps: Deps) {
    this.#deps = deps;
    const settings = { timeWindow: MINUTE, cache: REMEMBERED };
    this.#requests = app.createRateLimit({
      ...settings,
      max: deps.ratePerMinute,
      keyGenerator: ({ caller }) => caller?.id ?? "",
    });
    this.#wrong = app.createRateLimit({ ...settings, max: MOST_WRONG - 1 });
  }

  /** Counts a request of a caller; throws `too_many_requests`. */
  async count(request: FastifyRequest): Promise<void> {
    const state = await this.#requests(request);
    if (state.isAllowed || !state.isExceeded) return;
    const most = `${this.#deps.ratePerMinute} requests a minute`;
    throw tooMany(
      "too_many_requests",
      `This token has made more than ${most}; http.ratePerMinute sets that.`,
      state.ttl,
    );
  }

  /** A token was right, or not (undefined). Throws `too_many_failures` where too many from there were wrong. */
  async judge(request: FastifyRequest, caller: Caller | undefined): Promise<void> {
    const state = await this.#wrong(request, { increment: false });
    if (state.isAllowed) return;
    const from = `${state.key} ${caller?.id}`;
    if (state.isExceeded && !(caller && this.#known.has(from)))
      throw tooMany(
        "too_many_failures",
        "Too many wrong tokens came from this address; try again in a minute.",
        state.ttl,
      );
    if (caller) this.#remember(from);
    else await this.#countWrong(request);
  }

  async #countWrong(request: FastifyRequest): Promise<void> {
    const state = await this.#wrong(request);
    // Once in a window: those beyond are refused without being counted.
    if (!state.isAllowed && state.isExceeded) this.#tell(state.key);
  }

  #tell(address: string): void {
    const { audit, log } = this.#deps;
    // A proxy hands on what it was told, whatever that is.
    const detail = `${MOST_WRONG} wrong tokens within a minute from ${shown(address)}`;
    log(`The API refuses tokens for a minute: ${detail}.`);
    audit.note({ by: "api:?", action: "refused", detail }).catch((error: Error) => log(error.message));
  }

  #remember(from: string): void {
    this.#known.delete(from);
    this.#known.add(from);
    for (const oldest of this.#known) {
      if (this.#known.size <= REMEMBERED) break;
      this.#known.delete(oldest);
    }
  }
}

export async function openRates(app: FastifyInstance, deps: Deps): Promise<Rates> {
  await app.register(rateLimit, { global: false });
  return new Rates(app, deps);
}

function tooMany(code: string, message: string, ttl: number): AppError {
  return new AppError(message, { code, disposition: "limit", retryAt: Date.now() + ttl });
}
