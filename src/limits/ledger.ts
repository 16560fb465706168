import type { Redis } from "ioredis";
import { namesKey } from "../core/certificate.ts";
import { keys } from "../store/keys.ts";
import { execAll } from "../store/script.ts";
import { tallyField } from "../store/tally.ts";
import type { Admission, AdmissionRequest, Pause, Streak, Verdict } from "./admission.ts";
import { admitScript, HOLD_LIFE } from "./admission-script.ts";
import { type Bucket, bucketOf, bucketsOf } from "./buckets.ts";
import { emission } from "./gcra.ts";
import { exhaustScript, FINALIZED, SENT, settleScript, takeScript } from "./scripts.ts";
import type { CaLimits, OrderLimit } from "./table.ts";
import { failedScript, passedScript, validationScript } from "./validation-scripts.ts";

export type { Admission, AdmissionRequest, Pause, Streak, Verdict } from "./admission.ts";

const OK: Verdict = { ok: true };

/**
 * What this house has spent of one CA account's limits, in Redis, by Redis's clock, so that all workers see the same.
 * It is asked before the CA is, so that it is never the CA that has to say no.
 *
 * The buckets are the CA's own (GCRA, see gcra.ts). A token is held when an order is admitted, spent when the CA has
 * answered that it was, and given back otherwise: so we count each one as spent a moment after the CA does, and never
 * believe in a token that is not there yet.
 *
 * Validations are held to a sliding window, which is never looser than the CA's own bucket: any `count` failures
 * within `period`, then none until the first of them is `period` old (docs/adr/0004).
 */
export class Ledger {
  readonly account: string;
  readonly limits: CaLimits;
  readonly #redis: Redis;
  readonly #clock: () => number;

  /** `clock`: milliseconds since the epoch, in place of Redis's own; for tests. */
  constructor(redis: Redis, account: string, limits: CaLimits, clock: () => number = () => 0) {
    this.#redis = redis;
    this.account = account;
    this.limits = limits;
    this.#clock = clock;
  }

  /** Decides on a certificate's admission, and holds a token of each bucket if it is admitted. */
  async admit(request: AdmissionRequest): Promise<Admission> {
    const { id, generation, names, priority, holder, exemption } = request;
    const failures = exemption === "ari" ? undefined : this.limits.certificates.failedAuthorizations;
    const buckets = bucketsOf(names, this.limits, exemption);
    const [kind, second, third, fourth] = (await admitScript.run(
      this.#redis,
      [
        keys.certificate(id),
        keys.accountStop(this.account),
        keys.pausedNames(this.account),
        keys.breaker(this.account),
        keys.holding(this.account, holder),
        keys.rooms(this.account),
        keys.roomArrivals,
        ...buckets.flatMap((bucket) => this.#keysOf(bucket)),
        ...names.map((name) => this.#windowOf(name)),
      ],
      [
        this.#clock(),
        generation,
        holder,
        priority,
        failures?.count ?? 0,
        failures?.period ?? 0,
        buckets.length,
        names.length,
        ...buckets.flatMap((bucket) => [
          bucket.emission,
          bucket.burst,
          this.#field(bucket),
          bucket.limit === "newOrders" ? "0" : "1",
        ]),
        ...names,
      ],
    )) as [Admission["kind"], number | string, number | string, number];
    switch (kind) {
      case "ok":
        return { kind, waiting: second === 1 };
      case "paused":
        return { kind, name: String(second) };
      case "name":
        return { kind, wait: Number(second), name: String(third) };
      case "room": {
        const { limit, subject } = buckets[Number(third) - 1] ?? { limit: "newOrders", subject: "" };
        return { kind, wait: Number(second), limit, subject, ahead: fourth };
      }
      case "orders":
      case "broken":
        return { kind, wait: Number(second) };
      case "drop":
      case "early":
      case "stopped":
        return { kind };
    }
  }

  /** newOrder is about to be sent: from now on the CA may have counted it. */
  async sending(holder: string): Promise<void> {
    await this.#asked(holder, SENT);
  }

  /** The CA has refused newOrder, or it never got there: nothing was counted. */
  async unsent(holder: string): Promise<void> {
    await this.#redis.hdel(keys.holding(this.account, holder), SENT);
  }

  /** newOrder was sent before, and its answer never came: it counts, and another one takes another token. */
  async lost(holder: string): Promise<void> {
    await this.#settle(holder, "lost", "newOrders");
  }

  /** The order is about to be finalized: from now on the CA may issue, and count that. */
  async finalizing(holder: string): Promise<void> {
    await this.#asked(holder, FINALIZED);
  }

  async isFinalizing(holder: string): Promise<boolean> {
    return (await this.#redis.hexists(keys.holding(this.account, holder), FINALIZED)) === 1;
  }

  async #asked(holder: string, what: string): Promise<void> {
    const key = keys.holding(this.account, holder);
    await execAll(this.#redis.pipeline().hset(key, what, "1").pexpire(key, HOLD_LIFE));
  }

  /** The CA has answered newOrder: its token is spent. The others stay held until the certificate is there. */
  async ordered(holder: string): Promise<void> {
    await this.#settle(holder, "spend", "newOrders");
  }

  /** The certificate is there: whatever is still held is spent. */
  async issued(holder: string): Promise<void> {
    await this.#settle(holder, "spend", "");
  }

  /** An order that the CA has let pass for nothing was issued, which counts for its set of names all the same. */
  async spendSet(names: readonly string[]): Promise<void> {
    const bucket = bucketOf(this.limits, "certificatesPerNameSet", namesKey(names));
    const [key] = this.#keysOf(bucket);
    await takeScript.run(this.#redis, [key], [this.#clock(), bucket.emission, bucket.burst]);
  }

  /** Nothing comes of it: whatever is still held is free again, but for what the CA may have counted. */
  async release(holder: string): Promise<void> {
    await this.#settle(holder, "release", "");
  }

  /** The CA has refused an order for this limit, and said for how many milliseconds. */
  async exhausted(limit: OrderLimit, subject: string, wait: number): Promise<void> {
    const bucket = bucketOf(this.limits, limit, subject);
    await exhaustScript.run(
      this.#redis,
      [...this.#keysOf(bucket), keys.rooms(this.account)],
      [
        this.#clock(),
        bucket.emission,
        bucket.burst,
        Math.ceil(wait),
        limit === "newOrders" ? "1" : "0",
        this.#field(bucket),
      ],
    );
  }

  /** One registration of an account from this node's address, or the wait in milliseconds until there is one. */
  async takeRegistration(node: string): Promise<number> {
    const limit = this.limits.certificates.newRegistrations;
    if (!limit) return 0;
    const key = keys.bucket("newRegistrations", this.account, node);
    return Number(await takeScript.run(this.#redis, [key], [this.#clock(), emission(limit), limit.count]));
  }

  /**
   * Takes a place for one validation of each name, for all of them or for none, before the CA is asked: several
   * certificates may ask for the same name at once. It is given back when the validation succeeds.
   */
  async holdValidations(holder: string, names: readonly string[]): Promise<Verdict> {
    const limit = this.limits.certificates.failedAuthorizations;
    if (!limit || names.length === 0) return OK;
    const windows = names.map((name) => this.#windowOf(name));
    const args = [this.#clock(), holder, limit.count, limit.period];
    const [wait = 0, which = 1] = (await validationScript.run(this.#redis, windows, args)) as number[];
    return wait === 0 ? OK : { ok: false, wait, name: names[which - 1] ?? "" };
  }

  async validationsFailed(holder: string, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const period = this.limits.certificates.failedAuthorizations?.period ?? 0;
    const counted = tallyField("validations", this.account, "invalid");
    await failedScript.run(this.#redis, this.#touched(names), [this.#clock(), holder, period, counted]);
  }

  async validationsPassed(holder: string, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const counted = tallyField("validations", this.account, "valid");
    await passedScript.run(this.#redis, this.#touched(names), [holder, counted]);
  }

  /** The longest row of failed validations among these names. */
  async streak(names: readonly string[]): Promise<Streak | undefined> {
    const pipeline = this.#redis.pipeline();
    for (const name of names) pipeline.hmget(this.#rowOf(name), "count", "since");
    const rows = (await execAll(pipeline)) as [string | null, string | null][];
    return rows
      .map(([count, since], index) => ({
        name: names[index] ?? "",
        count: Number(count ?? 0),
        since: Number(since ?? 0),
      }))
      .filter(({ count }) => count > 0)
      .sort((a, b) => a.since - b.since)[0];
  }

  /** The CA has paused these names for the account: nothing is asked for them until `unpause`. */
  async pause(names: readonly string[], pause: Pause): Promise<void> {
    const text = JSON.stringify(pause);
    if (names.length > 0)
      await this.#redis.hset(keys.pausedNames(this.account), ...names.flatMap((name) => [name, text]));
  }

  async pauseOf(name: string): Promise<Pause | undefined> {
    const text = await this.#redis.hget(keys.pausedNames(this.account), name);
    return text === null ? undefined : (JSON.parse(text) as Pause);
  }

  async unpause(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.#redis.hdel(keys.pausedNames(this.account), ...names);
  }

  async #settle(holder: string, how: "spend" | "release" | "lost", only: OrderLimit | ""): Promise<void> {
    await settleScript.run(
      this.#redis,
      [
        keys.holding(this.account, holder),
        keys.family("bucket"),
        keys.family("holds"),
        keys.family("room"),
        keys.rooms(this.account),
      ],
      [this.#clock(), holder, how, only],
    );
  }

  /** A wildcard is validated as its base (RFC 8555 §7.1.3), and counts with it. */
  #windowOf(name: string): string {
    return keys.validations(this.account, name.replace(/^\*\./, ""));
  }

  #touched(names: readonly string[]): string[] {
    return [...names.flatMap((name) => [this.#windowOf(name), this.#rowOf(name)]), keys.tally];
  }

  #rowOf(name: string): string {
    return keys.failing(this.account, name.replace(/^\*\./, ""));
  }

  #field({ limit, subject }: Pick<Bucket, "limit" | "subject">): string {
    return `${limit}:${this.account}:${subject}`;
  }

  #keysOf({ limit, subject }: Pick<Bucket, "limit" | "subject">): [string, string, string] {
    const parts = [limit, this.account, subject] as const;
    return [keys.bucket(...parts), keys.holds(...parts), keys.room(...parts)];
  }
}
