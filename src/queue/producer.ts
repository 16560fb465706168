import { Job, Queue } from "bullmq";
import type { Redis } from "ioredis";
import { grouped } from "../core/grouped.ts";
import { PREFIX } from "../store/keys.ts";
import { execAll } from "../store/script.ts";
import {
  type CertificateJob,
  jobIds,
  jobPriority,
  type MailJob,
  type OrderJob,
  queueNames,
} from "./names.ts";

const CHUNK = 1_000;
const LINE_SLICE = 10_000;
/** A finished job leaves nothing behind: its id must be free for the next order of the certificate. */
const LEAVE_NOTHING = { removeOnComplete: true, removeOnFail: true } as const;

export interface Admission extends CertificateJob {
  account: string;
  priority: number;
  /** Milliseconds since the epoch; at once when left out. */
  at?: number;
}

export interface ProducerOptions {
  /** Whether what is enqueued goes through the check queue first. */
  checks?: boolean;
  /** All accounts, as a certificate may have been with another one before. */
  accounts?: readonly string[];
}

/** What became of those that were to be woken up: `gone` have no job any more, `early` are still on their way to sleep. */
export interface Woken<T> {
  gone: T[];
  early: T[];
}

/** The only place that adds jobs. */
export class Producer {
  readonly #redis: Redis;
  readonly #checks: boolean;
  readonly #accounts: readonly string[];
  readonly #queues = new Map<string, Queue>();

  constructor(redis: Redis, { checks = false, accounts = [] }: ProducerOptions = {}) {
    this.#redis = redis;
    this.#checks = checks;
    this.#accounts = accounts;
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

  /** To the beginning of the way. In chunks; repeating a call that was cut off adds nothing twice. */
  async enqueue(admissions: readonly Admission[], now: number): Promise<void> {
    if (this.#checks) await this.#add(admissions, now, () => "check");
    else await this.admit(admissions, now);
  }

  /** To admission, past the check. */
  async admit(admissions: readonly Admission[], now: number): Promise<void> {
    await this.#add(admissions, now, ({ renewal }) => (renewal ? "renew" : "admit"));
  }

  async #add(
    admissions: readonly Admission[],
    now: number,
    stageOf: (admission: Admission) => "check" | "admit" | "renew",
  ): Promise<void> {
    const groups = grouped(admissions, (admission) => queueNames[stageOf(admission)](admission.account));
    for (const [queue, group] of groups)
      for (let from = 0; from < group.length; from += CHUNK)
        await this.queue(queue).addBulk(
          group.slice(from, from + CHUNK).map((admission) => {
            const { id, generation, renewal, priority, at } = admission;
            return {
              name: stageOf(admission),
              data: { id, generation, ...(renewal ? { renewal } : {}) } satisfies CertificateJob,
              opts: {
                ...LEAVE_NOTHING,
                jobId: jobIds[stageOf(admission)](id, generation),
                priority: jobPriority.inLine(priority),
                ...(at === undefined || at <= now ? {} : { delay: at - now }),
              },
            };
          }),
        );
  }

  /** Admission is one at a time over all processes; this lives in a key of the queue, which a FLUSHALL takes. */
  async admitOneAtATime(account: string): Promise<void> {
    await this.queue(queueNames.admit(account)).setGlobalConcurrency(1);
  }

  /**
   * Frees the place of one that is not wanted any more. One that is being worked on ends by itself, and so does an
   * order, which is woken up for that.
   */
  async withdraw(account: string, { id, generation }: CertificateJob): Promise<void> {
    await Promise.all([
      ...(["check", "admit", "renew"] as const).map((stage) =>
        this.queue(queueNames[stage](account))
          .remove(jobIds[stage](id, generation))
          .catch(() => 0),
      ),
      Job.fromId(this.queue(queueNames.order(account)), jobIds.order(id))
        .then(async (job) => await job?.promote())
        .catch(() => undefined),
    ]);
  }

  /** Whether admission has this certificate in this generation already, and whether its order is in flight. */
  async standing(
    account: string,
    { id, generation }: CertificateJob,
  ): Promise<{ admitted: boolean; ordered: boolean }> {
    const [found, order] = await execAll(
      this.#redis
        .pipeline()
        .exists(
          `${PREFIX}:${queueNames.admit(account)}:${jobIds.admit(id, generation)}`,
          `${PREFIX}:${queueNames.renew(account)}:${jobIds.renew(id, generation)}`,
        )
        .hget(`${PREFIX}:${queueNames.order(account)}:${jobIds.order(id)}`, "data"),
    );
    return { admitted: Number(found) > 0, ordered: generationOf(order) === generation };
  }

  /** Wakes up jobs that sleep in a waiting room: they go before those of their priority that have not been there. */
  async wake<T extends CertificateJob>(account: string, jobs: readonly T[]): Promise<Woken<T>> {
    const woken: Woken<T> = { gone: [], early: [] };
    const pipeline = this.#redis.pipeline();
    for (const job of jobs)
      for (const { base, jobId } of this.#admissionsOf(account, job))
        pipeline.exists(`${base}:${jobId}`).zscore(`${base}:delayed`, jobId).lpos(`${base}:active`, jobId);
    const found = await execAll(pipeline);
    for (const [index, job] of jobs.entries()) {
      const places = this.#admissionsOf(account, job).map(({ queue, jobId }, stage) => {
        const [exists, asleep, active] = found.slice(6 * index + 3 * stage);
        return { queue, jobId, exists: exists === 1, asleep: asleep !== null, active: active !== null };
      });
      if (places.every(({ exists }) => !exists)) woken.gone.push(job);
      // One that is being worked on is about to fall asleep; any other is awake.
      else if (places.some(({ active }) => active)) woken.early.push(job);
      for (const { queue, jobId, asleep } of places) if (asleep) await promote(queue, jobId);
    }
    return woken;
  }

  #admissionsOf(
    account: string,
    { id, generation }: CertificateJob,
  ): { queue: Queue; base: string; jobId: string }[] {
    return (["admit", "renew"] as const).map((stage) => {
      const queue = this.queue(queueNames[stage](account));
      return { queue, base: `${PREFIX}:${queue.name}`, jobId: jobIds[stage](id, generation) };
    });
  }

  async order(account: string, job: OrderJob, priority: number): Promise<void> {
    await this.queue(queueNames.order(account)).add("order", job, {
      ...LEAVE_NOTHING,
      jobId: jobIds.order(job.id),
      priority: jobPriority.inLine(priority),
    });
  }

  /**
   * Whether this certificate has an order in flight, with whatever account, and how many this account has in all.
   * `until` (milliseconds since the epoch): what sleeps longer than that is not in flight.
   */
  async orders(account: string, id: string, until: number): Promise<{ inFlight: boolean; total: number }> {
    const base = `${PREFIX}:${queueNames.order(account)}`;
    const jobs = [...new Set([account, ...this.#accounts])].map(
      (name) => `${PREFIX}:${queueNames.order(name)}:${jobIds.order(id)}`,
    );
    const results = await execAll(
      this.#redis
        .pipeline()
        .exists(...jobs)
        .llen(`${base}:active`)
        .llen(`${base}:wait`)
        .zcard(`${base}:prioritized`)
        .zcount(`${base}:delayed`, "-inf", delayedUntil(until)),
    );
    const [exists = 0, ...counts] = results.map(Number);
    return { inFlight: exists > 0, total: counts.reduce((sum, count) => sum + count, 0) };
  }

  /** How many stand in line for this account's admission, those that are checked before it included. */
  async inLine(account: string): Promise<number> {
    const pipeline = this.#redis.pipeline();
    for (const stage of ["check", "admit"] as const)
      pipeline.zcard(`${PREFIX}:${queueNames[stage](account)}:prioritized`);
    const counts = (await execAll(pipeline)).map(Number);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** The place of each job that stands in line for this account's admission, by its id. */
  async placesInLine(account: string): Promise<ReadonlyMap<string, number>> {
    const places = new Map<string, number>();
    for (const stage of ["admit", "check"] as const) {
      const key = `${PREFIX}:${queueNames[stage](account)}:prioritized`;
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
    for (const { account, id, generation } of items)
      pipeline
        .exists(
          `${PREFIX}:${queueNames.check(account)}:${jobIds.check(id, generation)}`,
          `${PREFIX}:${queueNames.admit(account)}:${jobIds.admit(id, generation)}`,
          `${PREFIX}:${queueNames.renew(account)}:${jobIds.renew(id, generation)}`,
        )
        .hget(`${PREFIX}:${queueNames.order(account)}:${jobIds.order(id)}`, "data");
    const found = await execAll(pipeline);
    // An order of an earlier generation ends by itself, and leaves nothing behind for this one.
    return items.filter(
      ({ generation }, index) =>
        Number(found[2 * index]) === 0 && generationOf(found[2 * index + 1]) !== generation,
    );
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
      .zcount(`${base}:delayed`, "-inf", delayedUntil(until))
      .exec();
    return (results ?? []).reduce((sum, [, value]) => sum + Number(value), 0);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    this.#queues.clear();
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

/** Another process may have been quicker, or somebody may have withdrawn it: then there is nothing to be done. */
async function promote(queue: Queue, jobId: string): Promise<void> {
  try {
    const job = await Job.fromId(queue, jobId);
    await job?.changePriority({ priority: jobPriority.woken(Math.ceil(job.priority / 2)) });
    await job?.promote();
  } catch {
    // It is called again as long as it stands in its room.
  }
}
