import type { Redis } from "ioredis";
import { type CertificateRecord, namesKey } from "../core/certificate.ts";
import { keys } from "../store/keys.ts";
import { execAll } from "../store/script.ts";
import { type Bucket, bucketsOf } from "./buckets.ts";
import type { CaLimits } from "./table.ts";

const CHUNK = 1_000;

/**
 * Puts a lost ledger together again from the certificates that are there: what was obtained lately has taken its tokens
 * when it was. Orders that failed, and what other clients of the account did, cannot be known.
 */
export class LedgerRebuild {
  readonly #redis: Redis;
  readonly #limits: ReadonlyMap<string, CaLimits>;
  readonly #now: number;
  /** By the bucket's key: its emission in ms, and when tokens were taken. */
  readonly #spent = new Map<string, { emission: number; at: number[] }>();

  constructor(redis: Redis, limits: ReadonlyMap<string, CaLimits>, now: number) {
    this.#redis = redis;
    this.#limits = limits;
    this.#now = now;
  }

  add({ spec, leaf }: Pick<CertificateRecord, "spec" | "leaf">): void {
    const limits = leaf?.ca === undefined ? undefined : this.#limits.get(leaf.ca);
    if (!limits || leaf?.ca === undefined || leaf.issuedAt === undefined) return;
    // Asked for with other names since: which ones it has is not known any more.
    if (leaf.set !== undefined && leaf.set !== namesKey(spec.names)) return;
    for (const bucket of bucketsOf(spec.names, limits, leaf.exempt ? "renewal" : "none"))
      this.#spend(leaf.ca, bucket, leaf.issuedAt);
    if (leaf.paidAt === undefined) return;
    // The one before, which has taken tokens of all.
    for (const bucket of bucketsOf(spec.names, limits, "none")) this.#spend(leaf.ca, bucket, leaf.paidAt);
  }

  #spend(ca: string, { limit, subject, emission }: Bucket, at: number): void {
    const key = keys.bucket(limit, ca, subject);
    const spent = this.#spent.get(key) ?? { emission, at: [] };
    this.#spent.set(key, spent);
    spent.at.push(at);
  }

  /** Writes what was gathered; a bucket that is there already knows better. */
  async write(): Promise<void> {
    const full = [...this.#spent].flatMap(([key, { emission, at }]) => {
      const tat = at.sort((a, b) => a - b).reduce((state, then) => Math.max(state, then) + emission, 0);
      return tat > this.#now ? [{ key, tat }] : [];
    });
    for (let from = 0; from < full.length; from += CHUNK) {
      const pipeline = this.#redis.pipeline();
      for (const { key, tat } of full.slice(from, from + CHUNK))
        pipeline.set(key, tat, "PX", tat - this.#now, "NX");
      await execAll(pipeline);
    }
  }
}
