import type { Redis } from "ioredis";
import { PREFIX } from "../store/keys.ts";
import { execAll } from "../store/script.ts";
import { type CertificateJob, jobIds, queueNames } from "./names.ts";

const LINE_SLICE = 10_000;

type Stage = "check" | "admit" | "renew";

/** What BullMQ's keys of a queue begin with. */
function base(queue: string): string {
  return `${PREFIX}:${queue}`;
}

function jobKey(stage: Stage, account: string, { id, generation }: CertificateJob): string {
  return `${base(queueNames[stage](account))}:${jobIds[stage](id, generation)}`;
}

function orderKey(account: string, id: string): string {
  return `${base(queueNames.order(account))}:${jobIds.order(id)}`;
}

/** What stands in the queues. Looks, and changes nothing. */
export class QueueView {
  readonly #redis: Redis;
  readonly #accounts: readonly string[];

  /** `accounts`: all of them, as a certificate may have been with another one before. */
  constructor(redis: Redis, accounts: readonly string[]) {
    this.#redis = redis;
    this.#accounts = accounts;
  }

  /** Whether admission has this certificate in this generation already, and whether its order is in flight. */
  async standing(account: string, job: CertificateJob): Promise<{ admitted: boolean; ordered: boolean }> {
    const [found, order] = await execAll(
      this.#redis
        .pipeline()
        .exists(jobKey("admit", account, job), jobKey("renew", account, job))
        .hget(orderKey(account, job.id), "data"),
    );
    return { admitted: Number(found) > 0, ordered: generationOf(order) === job.generation };
  }

  /**
   * Whether this certificate has an order in flight, with whatever account, and how many this account has in all.
   * `until` (milliseconds since the epoch): what sleeps longer than that is not in flight.
   */
  async orders(account: string, id: string, until: number): Promise<{ inFlight: boolean; total: number }> {
    const queue = base(queueNames.order(account));
    const jobs = [...new Set([account, ...this.#accounts])].map((name) => orderKey(name, id));
    const results = await execAll(
      this.#redis
        .pipeline()
        .exists(...jobs)
        .llen(`${queue}:active`)
        .llen(`${queue}:wait`)
        .zcard(`${queue}:prioritized`)
        .zcount(`${queue}:delayed`, "-inf", delayedUntil(until)),
    );
    const [exists = 0, ...counts] = results.map(Number);
    return { inFlight: exists > 0, total: counts.reduce((sum, count) => sum + count, 0) };
  }

  /** How many stand in line for this account's admission, those that are checked before it included. */
  async inLine(account: string): Promise<number> {
    const pipeline = this.#redis.pipeline();
    for (const stage of ["check", "admit"] as const)
      pipeline.zcard(`${base(queueNames[stage](account))}:prioritized`);
    const counts = (await execAll(pipeline)).map(Number);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** The place of each job that stands in line for this account's admission, by its id. */
  async placesInLine(account: string): Promise<ReadonlyMap<string, number>> {
    const places = new Map<string, number>();
    for (const stage of ["admit", "check"] as const) {
      const key = `${base(queueNames[stage](account))}:prioritized`;
      for (let from = 0; ; from += LINE_SLICE) {
        const ids = await this.#redis.zrange(key, String(from), String(from + LINE_SLICE - 1));
        for (const id of ids) places.set(id, places.size);
        if (ids.length < LINE_SLICE) break;
      }
    }
    return places;
  }

  /** Those of the given certificates that no queue holds a job for. */
  async withoutJob<T extends CertificateJob & { account: string }>(items: readonly T[]): Promise<T[]> {
    if (items.length === 0) return [];
    const pipeline = this.#redis.pipeline();
    for (const item of items)
      pipeline
        .exists(...(["check", "admit", "renew"] as const).map((stage) => jobKey(stage, item.account, item)))
        .hget(orderKey(item.account, item.id), "data");
    const found = await execAll(pipeline);
    // An order of an earlier generation ends by itself, and leaves nothing behind for this one.
    return items.filter(
      ({ generation }, index) =>
        Number(found[2 * index]) === 0 && generationOf(found[2 * index + 1]) !== generation,
    );
  }

  /** Mails being sent, or due before `until` (milliseconds since the epoch). */
  async mailsDue(until: number): Promise<number> {
    const queue = base(queueNames.notify);
    const results = await this.#redis
      .pipeline()
      .llen(`${queue}:wait`)
      .llen(`${queue}:active`)
      .zcard(`${queue}:prioritized`)
      .zcount(`${queue}:delayed`, "-inf", delayedUntil(until))
      .exec();
    return (results ?? []).reduce((sum, [, value]) => sum + Number(value), 0);
  }
}

/** Of a job's data as BullMQ keeps it; an order's id does not tell. */
function generationOf(data: unknown): number | undefined {
  return typeof data === "string" ? (JSON.parse(data) as Partial<CertificateJob>).generation : undefined;
}

/** BullMQ's scores of delayed jobs are the moment times 4,096, plus a counter. */
function delayedUntil(moment: number): number {
  return moment * 4_096;
}
