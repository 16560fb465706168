import { DelayedError, type Job, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { PREFIX } from "../store/keys.ts";

/**
 * What becomes of a job: it is done; it comes back at a moment (a step job's next step, with its checkpoint saved);
 * or it goes back to its place and the whole queue waits. None of them counts as a failed attempt.
 */
export type Outcome<T> =
  | { kind: "done" }
  | { kind: "later"; at: number; data?: T }
  | { kind: "hold"; ms: number };

export const DONE = { kind: "done" } as const;

export interface JobContext<T> {
  /** Aborted when the process stops or the job was given to another worker: begin nothing new. */
  signal: AbortSignal;
  priority: number;
  /** Saves the checkpoint before an outside step. */
  save: (data: T) => Promise<void>;
}

export type Handler<T> = (data: T, context: JobContext<T>) => Promise<Outcome<T>>;

export interface ConsumerOptions<T> {
  queue: string;
  redis: Redis;
  concurrency: number;
  handle: Handler<T>;
  /** Something that no handler has foreseen, and after which the job is tried again a little later. */
  onFault: (error: Error, data: T) => void;
  /** For a queue whose jobs all wait for the same thing: `hold` is honoured by every worker. */
  holdable?: boolean;
}

/**
 * A killed worker's jobs come back within 15 s: after lockDuration plus two looks at the latest, as one look may find
 * that another worker has just had its own. However often that happens, a job is never given up for it.
 */
const LOCKS = { lockDuration: 10_000, stalledInterval: 2_500, maxStalledCount: 1_000_000 } as const;
const FAULT_DELAY = 10_000;
/** At most this long are finished steps waited for at the end; the rest comes back from its checkpoint. */
const CLOSE_TIMEOUT = 20_000;

export interface Consumer {
  close(): Promise<void>;
}

export function consume<T>(options: ConsumerOptions<T>): Consumer {
  const { handle, onFault } = options;
  const worker: Worker<T> = new Worker<T>(
    options.queue,
    async (job: Job<T>, token?: string, signal?: AbortSignal) => {
      const outcome = await outcomeOf(job, signal ?? new AbortController().signal);
      if (outcome.kind === "later") {
        if (outcome.data !== undefined) await job.updateData(outcome.data);
        await job.moveToDelayed(outcome.at, token);
        throw new DelayedError();
      }
      if (outcome.kind === "hold") {
        await worker.rateLimit(Math.ceil(outcome.ms));
        throw Worker.RateLimitError();
      }
    },
    {
      connection: options.redis,
      prefix: PREFIX,
      concurrency: options.concurrency,
      // Without a limiter other workers would not see that the queue is held.
      ...(options.holdable ? { limiter: { max: 1_000_000_000, duration: 1_000 } } : {}),
      ...LOCKS,
    },
  );

  async function outcomeOf(job: Job<T>, signal: AbortSignal): Promise<Outcome<T>> {
    if (signal.aborted) return { kind: "later", at: Date.now() };
    try {
      return await handle(job.data, {
        signal,
        priority: job.priority,
        save: async (data) => await job.updateData(data),
      });
    } catch (thrown) {
      if (!signal.aborted) onFault(thrown instanceof Error ? thrown : new Error(String(thrown)), job.data);
      return { kind: "later", at: Date.now() + (signal.aborted ? 0 : FAULT_DELAY) };
    }
  }

  // The connection reports its own outages; a lost lock means that the job has come back elsewhere.
  worker.on("error", () => undefined);
  worker.on("lockRenewalFailed", (ids) => {
    for (const id of ids) worker.cancelJob(id, "lock lost");
  });
  return { close: () => closeWorker(worker as Worker) };
}

async function closeWorker(worker: Worker): Promise<void> {
  worker.cancelAllJobs("shutdown");
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_TIMEOUT);
  });
  await Promise.race([worker.close(), late]);
  clearTimeout(timer);
}
