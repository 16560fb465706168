import type { Config } from "../config/load.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { Enqueuer } from "../intake/enqueue.ts";
import type { RestoreDeps } from "../intake/restore.ts";
import { LedgerRebuild } from "../limits/rebuild.ts";
import { Notifier } from "../notify/notifier.ts";
import { Producer } from "../queue/producer.ts";
import { AccountStops } from "../store/account-stops.ts";
import { Alive } from "../store/alive.ts";
import { makeFolder } from "../store/atomic.ts";
import { CertificateStore } from "../store/certificates.ts";
import { Challenges } from "../store/challenges.ts";
import { CertificateFiles } from "../store/files.ts";
import { ImportFiles } from "../store/import-files.ts";
import { ImportStore } from "../store/imports.ts";
import { Logbook } from "../store/logbook.ts";
import { MailBoxes } from "../store/mailboxes.ts";
import { ensurePrivateRedis, leavePrivateRedis } from "../store/private-redis.ts";
import { openCheckedRedis, type Redis } from "../store/redis.ts";
import { Responders } from "../store/responders.ts";
import { accountChooser } from "./spill.ts";

export type Log = (line: string) => void;

/** Milliseconds between two looks at whether the private Redis is still there. */
const REDIS_LOOK = 1_000;

/**
 * What every process and command works with: the configuration, one connection to Redis, and the stores on it and
 * on the disk. Made by `openHouse`; whoever opens it closes it.
 */
export class House {
  readonly config: Config;
  readonly redis: Redis;
  readonly clock: Clock = systemClock;
  readonly log: Log;
  readonly producer: Producer;
  readonly certificates: CertificateStore;
  readonly certificateFiles: CertificateFiles;
  readonly imports: ImportStore;
  readonly importFiles: ImportFiles;
  readonly challenges: Challenges;
  readonly responders: Responders;
  readonly stops: AccountStops;
  readonly alive: Alive;
  readonly boxes: MailBoxes;
  readonly notifier: Notifier;
  readonly enqueuer: Enqueuer;
  readonly #logbook: Logbook;
  #redisWatch: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(config: Config, redis: Redis, log: Log) {
    this.config = config;
    this.redis = redis;
    this.log = log;
    this.producer = new Producer(redis, {
      checks: config.preflight !== "off",
      accounts: config.cas.map(({ name }) => name),
    });
    this.certificates = new CertificateStore(redis);
    this.certificateFiles = new CertificateFiles(config.home);
    this.imports = new ImportStore(redis);
    this.importFiles = new ImportFiles(config.home);
    this.challenges = new Challenges(redis);
    this.responders = new Responders(redis);
    this.stops = new AccountStops(redis);
    this.alive = new Alive(redis);
    this.boxes = new MailBoxes(redis);
    this.#logbook = new Logbook(config.home);
    this.notifier = new Notifier({
      boxes: this.boxes,
      producer: this.producer,
      imports: this.imports,
      defaultMode: config.mail.notify,
      ...(config.mail.from === undefined ? {} : { defaultFrom: config.mail.from }),
      ...(config.mail.operator === undefined ? {} : { operator: config.mail.operator }),
    });
    const accounts = accountChooser(this);
    this.enqueuer = new Enqueuer({
      certificates: this.certificates,
      imports: this.imports,
      producer: this.producer,
      digests: this.notifier,
      clock: this.clock,
      defaultAccount: config.cas[0].name,
      ...(accounts === undefined ? {} : { accounts }),
    });
  }

  /** What taking in, and putting back from the files, needs. */
  get restoreDeps(): RestoreDeps {
    const { certificates, imports, certificateFiles, importFiles, enqueuer, producer, clock } = this;
    const defaultAccount = this.config.cas[0].name;
    return {
      certificates,
      imports,
      certificateFiles,
      importFiles,
      enqueuer,
      producer,
      clock,
      defaultAccount,
      knownAccounts: this.config.cas.map(({ name }) => name),
      ledgers: () => {
        const limits = new Map(this.config.cas.map((ca) => [ca.name, ca.limits]));
        return new LedgerRebuild(this.redis, limits, clock.now());
      },
    };
  }

  /** This process among all others on this Redis. */
  get processName(): string {
    return `${this.config.node}:${process.pid}`;
  }

  /** A line for certherd.log. A disk that is full must not stop what the line tells of. */
  readonly tell = (line: string): void => {
    this.#logbook.write(line, new Date(this.clock.now())).catch(() => this.log(line));
  };

  /** Says when Redis goes away under this process, and when it is back. */
  tellOfRedis(): void {
    let gone = false;
    this.redis.on("close", () => {
      if (!gone && !this.#closing)
        this.log("Redis does not answer any more; everything waits until it does.");
      gone = true;
    });
    this.redis.on("ready", () => {
      if (gone) this.log("Redis answers again.");
      gone = false;
    });
  }

  /** Starts the private Redis again should it die while this process lives. */
  watchPrivateRedis(): void {
    if (this.config.redisUrl !== undefined) return;
    this.#redisWatch = setInterval(() => {
      if (this.redis.status === "ready") return;
      ensurePrivateRedis(this.config.home).catch((error: Error) => this.log(error.message));
    }, REDIS_LOOK);
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#redisWatch);
    await this.producer.close();
    this.redis.disconnect();
    if (this.config.redisUrl === undefined) await leavePrivateRedis(this.config.home);
  }
}

/** Connects to the configured Redis, or to the private one of this home, which is started if need be. */
export async function openHouse(config: Config, log: Log, role = "cli"): Promise<House> {
  await makeFolder(config.home);
  const url = config.redisUrl ?? (await ensurePrivateRedis(config.home));
  return new House(config, await openCheckedRedis(url, role), log);
}
