import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { PREFIX } from "../store/keys.ts";
import { type CertificateJob, jobIds, type MailJob, type OrderJob, queueNames } from "./names.ts";

const CHUNK = 1_000;
/** A finished job leaves nothing behind: its id must be free for the next order of the certificate. */
const LEAVE_NOTHING = { removeOnComplete: true, removeOnFail: true } as const;

export interface Admission extends CertificateJob {
  account: string;
  priority: number;
  /** Milliseconds since the epoch; at once when left out. */
  at?: number;
}

/** The only place that adds jobs. */
export class Producer {
  readonly #redis: Redis;
  readonly #queues = new Map<string, Queue>();

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  queue(name: string): Queue {
    const known = this.#queues.get(name);
    if (known) return known;
    const queue = new Queue(name, { connection: this.#redis, prefix: PREFIX });
    // An outage is reported by the connection that it is the fault of; without a listener it would end the process.
    queue.on("error", () => undefined);
    this.#queues.set(name, queue);
    return queue;
  }

  /** In chunks; repeating a call that was cut off adds nothing twice. */
  async admit(admissions: readonly Admission[], now: number): Promise<void> {
    for (const [account, group] of groupBy(admissions, (admission) => admission.account))
      for (let from = 0; from < group.length; from += CHUNK)
        await this.queue(queueNames.admit(account)).addBulk(
          group.slice(from, from + CHUNK).map(({ id, generation, priority, at }) => ({
            name: "admit",
            data: { id, generation } satisfies CertificateJob,
            opts: {
              ...LEAVE_NOTHING,
              jobId: jobIds.admit(id, generation),
              priority,
              ...(at === undefined || at <= now ? {} : { delay: at - now }),
            },
          })),
        );
  }

  /** Admission is one at a time over all processes; this lives in a key of the queue, which a FLUSHALL takes. */
  async admitOneAtATime(account: string): Promise<void> {
    await this.queue(queueNames.admit(account)).setGlobalConcurrency(1);
  }

  /** Frees the place of an admission that is not wanted any more; one that is being worked on ends by itself. */
  async withdraw(account: string, { id, generation }: CertificateJob): Promise<void> {
    await this.queue(queueNames.admit(account))
      .remove(jobIds.admit(id, generation))
      .catch(() => 0);
  }

  async order(account: string, job: OrderJob, priority: number): Promise<void> {
    await this.queue(queueNames.order(account)).add("order", job, {
      ...LEAVE_NOTHING,
      jobId: jobIds.order(job.id),
      priority,
    });
  }

  /** Whether this certificate has an order in flight, and how many there are in all. */
  async orders(account: string, id: string): Promise<{ inFlight: boolean; total: number }> {
    const queue = this.queue(queueNames.order(account));
    const base = `${PREFIX}:${queue.name}`;
    const results = await this.#redis
      .pipeline()
      .exists(`${base}:${jobIds.order(id)}`)
      .llen(`${base}:active`)
      .llen(`${base}:wait`)
      .zcard(`${base}:prioritized`)
      .zcard(`${base}:delayed`)
      .exec();
    const [exists = 0, ...counts] = (results ?? []).map(([, value]) => Number(value));
    return { inFlight: exists === 1, total: counts.reduce((sum, count) => sum + count, 0) };
  }

  /** Those of the given certificates that neither queue holds a job for. */
  async withoutJob<T extends CertificateJob & { account: string }>(items: readonly T[]): Promise<T[]> {
    const pipeline = this.#redis.pipeline();
    for (const { account, id, generation } of items) {
      pipeline.exists(`${PREFIX}:${queueNames.admit(account)}:${jobIds.admit(id, generation)}`);
      pipeline.exists(`${PREFIX}:${queueNames.order(account)}:${jobIds.order(id)}`);
    }
    const found = ((await pipeline.exec()) ?? []).map(([, value]) => Number(value));
    return items.filter((_, index) => found[2 * index] === 0 && found[2 * index + 1] === 0);
  }

  /** Sends what the box holds, after `delay` milliseconds; a mail that is waiting already takes it along. */
  async mail(job: MailJob, delay = 0): Promise<void> {
    await this.queue(queueNames.notify).add("mail", job, {
      ...LEAVE_NOTHING,
      jobId: jobIds.mail(job.box, job.group),
      delay,
      priority: 1,
    });
  }

  /** Mails being sent, or due before `until` (milliseconds since the epoch). */
  async mailsDue(until: number): Promise<number> {
    const base = `${PREFIX}:${queueNames.notify}`;
    const results = await this.#redis
      .pipeline()
      .llen(`${base}:wait`)
      .llen(`${base}:active`)
      .zcard(`${base}:prioritized`)
      // BullMQ's scores are the moment times 4,096, plus a counter.
      .zcount(`${base}:delayed`, "-inf", until * 4_096)
      .exec();
    return (results ?? []).reduce((sum, [, value]) => sum + Number(value), 0);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    this.#queues.clear();
  }
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
