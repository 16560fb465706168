import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Config } from "../config/load.ts";
import type { MailRoute } from "../core/certificate.ts";
import { type Clock, rfc3339 } from "../core/clock.ts";
import { policyOf } from "../core/relays.ts";
import { type Consumer, consume, DONE, type Outcome } from "../queue/consumer.ts";
import { type MailJob, queueNames } from "../queue/names.ts";
import type { Producer } from "../queue/producer.ts";
import type { CertificateStore } from "../store/certificates.ts";
import type { ImportStore } from "../store/imports.ts";
import { keys } from "../store/keys.ts";
import type { MailBoxes } from "../store/mailboxes.ts";
import { gather } from "./gather.ts";
import { BOXES, isImportBox, isNoticeBox, kindOf, messageId } from "./groups.ts";
import { heal, Looks } from "./heal.ts";
import { Mailer, MailFailure, relayName } from "./mailer.ts";
import { LATER_DELAY, NOW_DELAY, Notifier } from "./notifier.ts";
import { Relays } from "./relays.ts";
import { type Rendered, type Report, render, renderNotice } from "./render.ts";

/** All in milliseconds. */
export interface MailSchedule {
  /** Delays after the first, second, … failed try of a mail; the last one repeats. */
  retry: readonly number[];
  /** After the first try of a mail, when it is dropped. */
  giveUpAfter: number;
  /** How long a relay that failed is left alone by all its other mails. */
  rest: number;
  /** A relay that takes longer for one mail is slow, and gets fewer at a time. */
  slow: number;
  /** After how long a mail to a relay that is busy comes again. */
  busy: number;
  /** How long a call for a person waits for others, again as long as more come in. */
  now: number;
  /** How long it waits for others at most. */
  nowLimit: number;
  /** Between two mails about what has changed after a digest. */
  later: number;
  /** After how long a box that a mail has emptied is looked into once more. */
  look: number;
}

export const MAIL_SCHEDULE: MailSchedule = {
  // A restart of the relay; a repair; then what RFC 5321 §4.5.4.1 asks for: at least every 30 min at first, 4-5 days
  // being usual, of which three are enough here, as `certherd list` tells the same.
  retry: [60_000, 300_000, 900_000, 3_600_000],
  giveUpAfter: 3 * 86_400_000,
  rest: 30_000,
  slow: 2_000,
  busy: 5_000,
  now: NOW_DELAY,
  nowLimit: 300_000,
  later: LATER_DELAY,
  look: 1_000,
};

export interface NotifyOptions {
  redis: Redis;
  producer: Producer;
  certificates: CertificateStore;
  imports: ImportStore;
  boxes: MailBoxes;
  config: Pick<Config, "mail" | "node">;
  clock: Clock;
  log: (line: string) => void;
  /** Closed by whoever made it. */
  mailer?: Mailer;
  schedule?: Partial<MailSchedule>;
}

/** Mails sent at once. A slow relay takes up two of the places at most, one that is down none. */
const CONCURRENCY = 5;
/** Milliseconds. */
const CLOSE_TIMEOUT = 3_000;

/**
 * Sends what is in the boxes, and takes up what a crash has left behind. A relay that is down delays its own mails
 * only, and no certificate.
 */
export function startNotify(options: NotifyOptions): Consumer {
  const { redis, producer, boxes, imports, config, log } = options;
  const schedule = { ...MAIL_SCHEDULE, ...options.schedule };
  const mailer = options.mailer ?? new Mailer({ relays: policyOf(config.mail) });
  const delayOf = (box: string): number => pauseOf(box, schedule);
  const looks = new Looks({ boxes, producer, delayOf, every: schedule.look });
  const postman = new Postman(options, schedule, mailer, looks);
  const consumer = consume<MailJob>({
    queue: queueNames.notify,
    redis,
    concurrency: CONCURRENCY,
    handle: (job) => postman.handle(job),
    onFault: (error, job) => log(`The mail of ${job.box} could not be made: ${error.message}`),
  });
  const { from, notify } = config.mail;
  const sender = from === undefined ? {} : { defaultFrom: from };
  const notifier = new Notifier({ boxes, producer, imports, defaultMode: notify, ...sender });
  const stop = new AbortController();
  const healed = heal({ boxes, producer, imports, notifier, delayOf, signal: stop.signal }).catch(
    (error: Error) => log(`Mails that a crash left behind could not be looked for: ${error.message}`),
  );
  return {
    close: async () => {
      stop.abort();
      await consumer.close();
      // Without Redis neither would ever end, and both come again with the next start.
      await Promise.race([
        Promise.all([healed, looks.close()]),
        sleep(CLOSE_TIMEOUT, undefined, { ref: false }),
      ]);
      if (options.mailer === undefined) mailer.close();
    },
  };
}

/** How long what comes in after a mail waits for the next one. */
function pauseOf(box: string, schedule: MailSchedule): number {
  if (box === BOXES.now) return schedule.now;
  return box === BOXES.later ? schedule.later : 0;
}

class Postman {
  readonly #options: NotifyOptions;
  readonly #schedule: MailSchedule;
  readonly #mailer: Mailer;
  readonly #looks: Looks;
  readonly #relays: Relays;

  constructor(options: NotifyOptions, schedule: MailSchedule, mailer: Mailer, looks: Looks) {
    this.#options = options;
    this.#schedule = schedule;
    this.#mailer = mailer;
    this.#looks = looks;
    this.#relays = new Relays(schedule, options.clock);
  }

  async handle(job: MailJob): Promise<Outcome<MailJob>> {
    const { boxes, clock, log } = this.#options;
    const { box, group } = job;
    const size = await boxes.size(box, group);
    if (size === 0) return this.#end(job);
    const growing = this.#stillGrowing(job, size);
    if (growing) return growing;
    const route = await boxes.route(group);
    if (route === undefined) {
      log(
        `Nobody is known any more to whom the mail of ${box} was to go; ${size} certificates are not told.`,
      );
      await boxes.take(box, group, clock.now());
      await boxes.told(box, group);
      return this.#end(job);
    }
    const entry = this.#relays.enter(relayName(route));
    // Spread, as the others that wait for this relay come back, too.
    if (entry.kind === "busy") return this.#at(this.#schedule.busy * (1 + Math.random()), job);
    if (entry.kind === "resting") return await this.#failed(job, route, undefined);
    let worked = true;
    try {
      await this.#sendOne(job, route);
    } catch (error) {
      if (!(error instanceof MailFailure)) throw error;
      worked = error.kind !== "relay";
      return await this.#failed(job, route, error);
    } finally {
      entry.leave(worked);
    }
    // What has come in meanwhile.
    return await this.#next(job);
  }

  /** What fails together is one mail: as long as more comes in, it waits, though not for ever. */
  #stillGrowing(job: MailJob, count: number): Outcome<MailJob> | undefined {
    if (job.box !== BOXES.now || job.tries !== undefined) return undefined;
    const now = this.#options.clock.now();
    const seen = job.seen ?? { count: 1, since: now };
    if (count <= seen.count || now - seen.since >= this.#schedule.nowLimit) return undefined;
    return this.#at(this.#schedule.now, { ...job, seen: { count, since: seen.since } });
  }

  async #sendOne({ box, group }: MailJob, route: MailRoute): Promise<void> {
    const { boxes, clock, config } = this.#options;
    const at = await boxes.take(box, group, clock.now());
    if (at === undefined) return;
    const rendered = isNoticeBox(box) ? await this.#noticeOf(box) : await this.#reportOf(box, group);
    if (rendered) {
      const from = route.from ?? config.mail.from ?? `certherd@${config.node}`;
      await this.#mailer.send({ route, from, ...rendered, messageId: messageId(box, group, at, from) });
    }
    await boxes.told(box, group);
  }

  async #noticeOf(box: string): Promise<Rendered | undefined> {
    const notice = await this.#options.boxes.notice(box);
    return notice && renderNotice(notice, this.#options.config.node);
  }

  async #reportOf(box: string, group: string): Promise<Rendered | undefined> {
    const { boxes, certificates, config } = this.#options;
    const kind = kindOf(box);
    const findings = await gather(boxes.ids(box, group), certificates, kind);
    return findings && render({ kind, ...(await this.#importOf(box)), ...findings, node: config.node });
  }

  async #importOf(box: string): Promise<Pick<Report, "source" | "importCounts">> {
    const record = isImportBox(box) ? await this.#options.imports.get(box) : undefined;
    return record ? { source: record.source, importCounts: record.counts } : {};
  }

  /** Later again, or never. `failure` is undefined where the relay was not even asked. */
  async #failed(job: MailJob, route: MailRoute, failure: MailFailure | undefined): Promise<Outcome<MailJob>> {
    const { boxes, clock, log } = this.#options;
    const { retry, giveUpAfter } = this.#schedule;
    const { box, group } = job;
    const tries = (job.tries ?? 0) + 1;
    const delayOf = (index: number): number => retry[Math.min(index, retry.length - 1)] ?? giveUpAfter;
    const spent = Array.from({ length: tries - 1 }, (_, index) => delayOf(index)).reduce(
      (sum, ms) => sum + ms,
      0,
    );
    const what = `The mail to ${route.to} through ${relayName(route)}`;
    if (failure?.kind === "refused" || spent >= giveUpAfter) {
      const after = tries > 1 ? ` after ${tries} tries` : "";
      log(`${what} is given up${after}: ${failure?.message ?? "the relay does not answer"}`);
      await this.#options.redis.hincrby(keys.counters, "mail_failed", 1);
      await boxes.take(box, group, clock.now());
      await boxes.told(box, group);
      return await this.#next(job);
    }
    const delay = delayOf(tries - 1);
    if (failure) log(`${what} is tried again at ${rfc3339(clock.now() + delay)}: ${failure.message}`);
    // One that may have arrived is repeated as it was, under the same Message-ID.
    if (failure && !failure.unclear) await boxes.putBack(box, group);
    return this.#at(delay, { box, group, tries });
  }

  #at(delay: number, data: MailJob): Outcome<MailJob> {
    return { kind: "later", at: this.#options.clock.now() + Math.round(delay), data };
  }

  /** The next mail of this box, if it holds something again. */
  async #next({ box, group }: MailJob): Promise<Outcome<MailJob>> {
    const size = await this.#options.boxes.size(box, group);
    return size > 0 ? this.#at(pauseOf(box, this.#schedule), { box, group }) : this.#end({ box, group });
  }

  #end({ box, group }: MailJob): Outcome<MailJob> {
    this.#looks.after({ box, group });
    return DONE;
  }
}
