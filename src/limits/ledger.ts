import type { Redis } from "ioredis";
import { keys } from "../store/keys.ts";
import { emission } from "./gcra.ts";
import {
  admitScript,
  exhaustScript,
  failedScript,
  refundScript,
  takeScript,
  validationScript,
} from "./scripts.ts";
import type { CaLimits, Limit } from "./table.ts";

export type Verdict = { ok: true } | { ok: false; wait: number; name: string };

const OK: Verdict = { ok: true };

/** What admission may do with a certificate. Waits in milliseconds. */
export type Admission =
  /** `waiting`: the index still shows it as waiting. */
  | { kind: "ok"; spent: boolean; waiting: boolean }
  /** Overtaken by a newer generation, paused or removed. */
  | { kind: "drop" }
  /** The generation before it has not handed over yet. */
  | { kind: "early" }
  /** The whole account is stopped. */
  | { kind: "stopped" }
  /** A name of it has failed as often as it may. */
  | { kind: "name"; wait: number; name: string }
  /** The account may make no more orders now. */
  | { kind: "orders"; wait: number };

/**
 * What this house has spent of one CA account's limits, in Redis, by Redis's clock, so that all workers see the
 * same. It is asked before the CA is, so that it is never the CA that has to say no.
 *
 * Validations are held to a sliding window, which is never looser than the CA's own bucket: any `count` failures
 * within `period`, then none until the first of them is `period` old. A place is taken before the CA is asked to
 * validate, as several certificates may ask for the same name at once, and given back when the validation succeeds.
 */
export class Ledger {
  readonly #redis: Redis;
  readonly #account: string;
  readonly #limits: CaLimits["certificates"];

  constructor(redis: Redis, account: string, limits: CaLimits) {
    this.#redis = redis;
    this.#account = account;
    this.#limits = limits.certificates;
  }

  /** Decides on a certificate's admission, and spends a token of the account's new orders if it is admitted. */
  async admit(id: string, generation: number, holder: string): Promise<Admission> {
    const { failedAuthorizations: failures, newOrders } = this.#limits;
    const [emissionOrNone, burst] = newOrders ? bucketArguments(newOrders) : [0, 0];
    const [kind, wait, name] = (await admitScript.run(
      this.#redis,
      [
        keys.certificate(id),
        keys.accountStop(this.#account),
        this.#orders(),
        keys.validations(this.#account, ""),
      ],
      [generation, holder, failures?.count ?? 0, failures?.period ?? 0, emissionOrNone, burst],
    )) as [Admission["kind"], number, string | number];
    switch (kind) {
      case "ok":
        return { kind, spent: wait === 1, waiting: name === 1 };
      case "name":
        return { kind, wait, name: String(name) };
      case "orders":
        return { kind, wait };
      case "drop":
      case "early":
      case "stopped":
        return { kind };
    }
  }

  /** One token of the account's new orders, or the wait in milliseconds until there is one. */
  async takeOrder(): Promise<Verdict> {
    const limit = this.#limits.newOrders;
    if (!limit) return OK;
    const [wait = 0] = (await takeScript.run(
      this.#redis,
      [this.#orders()],
      bucketArguments(limit),
    )) as number[];
    return wait === 0 ? OK : { ok: false, wait, name: this.#account };
  }

  /** The order was never made. */
  async refundOrder(): Promise<void> {
    const limit = this.#limits.newOrders;
    if (limit) await refundScript.run(this.#redis, [this.#orders()], [emission(limit)]);
  }

  /** The CA has refused an order, and said for how many milliseconds. */
  async ordersExhausted(wait: number): Promise<void> {
    const limit = this.#limits.newOrders;
    if (limit)
      await exhaustScript.run(this.#redis, [this.#orders()], [...bucketArguments(limit), Math.ceil(wait)]);
  }

  /** Whether validations of these names could be asked for now. */
  async canValidate(holder: string, names: readonly string[]): Promise<Verdict> {
    return await this.#validation(holder, names, false);
  }

  /** Takes a place for one validation of each name, for all of them or for none. */
  async holdValidations(holder: string, names: readonly string[]): Promise<Verdict> {
    return await this.#validation(holder, names, true);
  }

  async validationsFailed(holder: string, names: readonly string[]): Promise<void> {
    const limit = this.#limits.failedAuthorizations;
    if (limit && names.length > 0)
      await failedScript.run(this.#redis, this.#validations(names), [holder, limit.period]);
  }

  async validationsPassed(holder: string, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const pipeline = this.#redis.pipeline();
    for (const key of this.#validations(names)) pipeline.zrem(key, holder);
    await pipeline.exec();
  }

  async #validation(holder: string, names: readonly string[], hold: boolean): Promise<Verdict> {
    const limit = this.#limits.failedAuthorizations;
    if (!limit || names.length === 0) return OK;
    const args = [holder, limit.count, limit.period, hold ? "1" : "0"];
    const result = (await validationScript.run(this.#redis, this.#validations(names), args)) as number[];
    const [wait = 0, which = 1] = result;
    return wait === 0 ? OK : { ok: false, wait, name: names[which - 1] ?? "" };
  }

  #orders(): string {
    return keys.bucket("newOrders", this.#account, "");
  }

  #validations(names: readonly string[]): string[] {
    return names.map((name) => keys.validations(this.#account, name));
  }
}

/**
 * One token stays in hand: an order that was sent first may reach the CA last, and then the CA's bucket is emptier
 * than ours for as long as a request takes.
 */
function bucketArguments(limit: Limit): [number, number] {
  return [emission(limit), Math.max(1, limit.count - 1)];
}
