import { setTimeout as sleep } from "node:timers/promises";
import { rfc3339 } from "../core/clock.ts";
import { Forecast } from "../runtime/forecast.ts";
import type { House } from "../runtime/house.ts";
import type { ImportRecord } from "../store/imports.ts";
import { InProcessWorkers } from "./house.ts";
import { type Io, note } from "./output.ts";
import { Progress } from "./progress.ts";

/** Milliseconds between two looks at the import. */
const LOOK = 200;
/** Looks between two looks at whether workers are alive. */
const WORKERS_EVERY = 15;
/** Milliseconds between two forecasts, and how many times as long as one takes at the least. */
const FORECAST_EVERY = 5_000;
const FORECAST_PART = 20;
/** Milliseconds for which mail of a worker in this process is waited for. */
const MAIL_PATIENCE = 30_000;

export interface WaitOptions {
  /** Milliseconds after which waiting ends though not all has settled; for ever when left out. */
  max?: number;
  /** No progress is shown. */
  quiet?: boolean;
  /** Asked now and then; true ends the wait, as there is no use in it. */
  hopeless?: () => Promise<boolean>;
}

/**
 * Waits until every certificate of an import has settled, working itself where nobody else does. Returns false when
 * the time was over first.
 */
export async function waitForImport(
  house: House,
  io: Io,
  id: string,
  options: WaitOptions,
): Promise<boolean> {
  const workers = new InProcessWorkers(house);
  const startedAt = Date.now();
  const progress = options.quiet ? undefined : new Progress(io, startedAt);
  const interrupt = new AbortController();
  const stop = (): void => interrupt.abort();
  process.once("SIGTERM", stop).once("SIGINT", stop);
  let doneBy: number | undefined;
  let forecastAt = 0;
  try {
    for (let looks = 0; ; looks++) {
      if (looks % WORKERS_EVERY === 0) await workers.ensure();
      if (progress && Date.now() >= forecastAt) {
        const begun = Date.now();
        doneBy = await new Forecast(house).all();
        forecastAt = Date.now() + Math.max(FORECAST_EVERY, (Date.now() - begun) * FORECAST_PART);
      }
      const record = await house.imports.get(id);
      if (record) progress?.update({ ...(await stateOf(house, record)), doneBy }, Date.now());
      if (record?.read && record.open === 0) break;
      if (interrupt.signal.aborted) return false;
      if (looks % WORKERS_EVERY === 0 && (await options.hopeless?.())) return false;
      if (options.max !== undefined && Date.now() - startedAt >= options.max) return false;
      await sleep(LOOK);
    }
    if (workers.working) await mailSent(house, io);
    return true;
  } finally {
    process.off("SIGTERM", stop).off("SIGINT", stop);
    progress?.stop();
    await workers.close();
  }
}

async function stateOf(
  house: House,
  record: ImportRecord,
): Promise<{ total: number; done: number; failed: number; waiting: number }> {
  const settled = Object.values(record.settled).reduce((sum, n) => sum + n, 0);
  const done = (record.settled.issued ?? 0) + (record.settled.serving ?? 0);
  const waiting = Math.min(record.open, await house.certificates.count("waiting"));
  return { total: settled + record.open, done, failed: settled - done, waiting };
}

/** The digest goes when the import ends, which is now: a process that leaves at once would take it along. */
async function mailSent(house: House, io: Io): Promise<void> {
  const deadline = Date.now() + MAIL_PATIENCE;
  while (Date.now() < deadline) {
    if ((await house.producer.mailsDue(deadline)) === 0) return;
    await sleep(LOOK);
  }
  note(
    io,
    `Some mail could not be sent by ${rfc3339(Date.now())}; \`certherd up\` sends it as soon as its relay answers.`,
  );
}
