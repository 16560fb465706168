import { Job, Queue } from "bullmq";
import type { Redis } from "ioredis";
import { grouped } from "../core/grouped.ts";
import { PREFIX } from "../store/keys.ts";
import { execAll } from "../store/script.ts";
import {
  type CertificateJob,
  type DeployJob,
  jobIds,
  jobPriority,
  type MailJob,
  type OrderJob,
  queueNames,
  type WebhookJob,
} from "./names.ts";
import { QueueView } from "./view.ts";

const CHUNK = 1_000;
const HURRIED_AT_ONCE = 100;
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
export class Producer extends QueueView {
  readonly #redis: Redis;
  readonly #checks: boolean;
  readonly #queues = new Map<string, Queue>();

  constructor(redis: Redis, { checks = false, accounts = [] }: ProducerOptions = {}) {
    super(redis, accounts);
    this.#redis = redis;
    this.#checks = checks;
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
            const { id, generation, renewal, plain, priority, at } = admission;
            return {
              name: stageOf(admission),
              data: {
                id,
                generation,
                ...(renewal ? { renewal } : {}),
                ...(plain ? { plain } : {}),
              } satisfies CertificateJob,
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

  /** To the queues of nodes; what stands there already is not added again. */
  async deploy(jobs: readonly (DeployJob & { node: string; priority: number })[]): Promise<void> {
    for (const [queue, group] of grouped(jobs, ({ node }) => queueNames.deploy(node)))
      for (let from = 0; from < group.length; from += CHUNK)
        await this.queue(queue).addBulk(
          group.slice(from, from + CHUNK).map(({ node: _, priority, ...data }) => ({
            name: data.serial === undefined ? "withdraw" : "deploy",
            data,
            opts: {
              ...LEAVE_NOTHING,
              jobId:
                data.serial === undefined
                  ? jobIds.withdraw(data.id, data.generation, data.vipPort)
                  : jobIds.deploy(data.id, data.serial, data.vipPort),
              priority: jobPriority.inLine(priority),
            },
          })),
        );
  }

  /** Deployments that were put off are begun now. */
  async hurryDeploys(
    jobs: readonly { node: string; id: string; serial: string; vipPort: number }[],
  ): Promise<void> {
    for (let from = 0; from < jobs.length; from += HURRIED_AT_ONCE)
      await Promise.all(
        jobs.slice(from, from + HURRIED_AT_ONCE).map(async ({ node, id, serial, vipPort }) => {
          const jobId = jobIds.deploy(id, serial, vipPort);
          const job = await Job.fromId(this.queue(queueNames.deploy(node)), jobId);
          // One that does not sleep is on its way already.
          await job?.promote().catch(() => undefined);
        }),
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

  /** To one webhook's queue; what stands there already is not added again. */
  async webhook(name: string, jobs: readonly WebhookJob[]): Promise<void> {
    if (jobs.length === 0) return;
    await this.queue(queueNames.webhook(name)).addBulk(
      jobs.map((data) => ({
        name: "webhook",
        data,
        opts: { ...LEAVE_NOTHING, jobId: jobIds.webhook(data.event), priority: 1 },
      })),
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    this.#queues.clear();
  }
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
