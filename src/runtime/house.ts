import type { Config } from "../config/load.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { Rollouts } from "../deploy/advance.ts";
import type { DeployDeps } from "../deploy/ports.ts";
import { beginRemoval } from "../deploy/removal.ts";
import { orderAgain } from "../intake/again.ts";
import { Enqueuer } from "../intake/enqueue.ts";
import type { RestoreDeps } from "../intake/ports.ts";
import { LedgerRebuild } from "../limits/rebuild.ts";
import { Notifier } from "../notify/notifier.ts";
import { Producer } from "../queue/producer.ts";
import { AccountStops } from "../store/account-stops.ts";
import type { AccountFiles } from "../store/accounts.ts";
import { Alive } from "../store/alive.ts";
import { makeFolder } from "../store/atomic.ts";
import { AuditLog } from "../store/audit.ts";
import { CertificateStore } from "../store/certificates.ts";
import { Challenges } from "../store/challenges.ts";
import type { CertificateFiles } from "../store/files.ts";
import { ImportFiles } from "../store/import-files.ts";
import { ImportStore } from "../store/imports.ts";
import { Incidents } from "../store/incidents.ts";
import { Logbook } from "../store/logbook.ts";
import { MailBoxes } from "../store/mailboxes.ts";
import { Nodes } from "../store/nodes.ts";
import { ensurePrivateRedis, leavePrivateRedis } from "../store/private-redis.ts";
import { openCheckedRedis, type Redis } from "../store/redis.ts";
import type { Removals } from "../store/removals.ts";
import { Renewals } from "../store/renewals.ts";
import { Responders } from "../store/responders.ts";
import { openStores, type Stores } from "../store/stores.ts";
import { Turns } from "../store/turns.ts";
import { caOf } from "./renewals.ts";
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
  readonly accountFiles: AccountFiles;
  readonly removals: Removals;
  /** What there is only where several hosts have a store in common. */
  readonly shared: Stores["shared"];
  readonly imports: ImportStore;
  readonly importFiles: ImportFiles;
  readonly challenges: Challenges;
  readonly responders: Responders;
  readonly stops: AccountStops;
  readonly alive: Alive;
  readonly nodes: Nodes;
  readonly turns: Turns;
  readonly renewals: Renewals;
  readonly incidents: Incidents;
  readonly boxes: MailBoxes;
  readonly audit: AuditLog;
  readonly notifier: Notifier;
  readonly enqueuer: Enqueuer;
  readonly rollouts: Rollouts;
  readonly #logbook: Logbook;
  #redisWatch: NodeJS.Timeout | undefined;
  #closing = false;
  #active: boolean | undefined;

  constructor(config: Config, redis: Redis, log: Log) {
    this.config = config;
    this.redis = redis;
    this.log = log;
    this.producer = new Producer(redis, {
      checks: config.preflight !== "off",
      accounts: config.cas.map(({ name }) => name),
    });
    this.certificates = new CertificateStore(redis);
    const stores = openStores(config.home, redis, config.storeKey);
    this.certificateFiles = stores.certificates;
    this.accountFiles = stores.accounts;
    this.removals = stores.removals;
    this.shared = stores.shared;
    this.imports = new ImportStore(redis);
    this.importFiles = new ImportFiles(config.home);
    this.challenges = new Challenges(redis);
    this.responders = new Responders(redis);
    this.stops = new AccountStops(redis);
    this.alive = new Alive(redis);
    this.nodes = new Nodes(redis);
    this.turns = new Turns(redis);
    this.renewals = new Renewals(redis, this.certificates);
    this.incidents = new Incidents(redis);
    this.boxes = new MailBoxes(redis);
    this.audit = new AuditLog(redis, config.home, this.clock);
    this.#logbook = new Logbook(config.home);
    this.notifier = new Notifier({
      boxes: this.boxes,
      producer: this.producer,
      imports: this.imports,
      defaultMode: config.mail.notify,
      ...(config.mail.from === undefined ? {} : { defaultFrom: config.mail.from }),
      ...(config.mail.operator === undefined ? {} : { operator: config.mail.operator }),
    });
    this.rollouts = new Rollouts(this.deployDeps);
    const accounts = accountChooser(this);
    this.enqueuer = new Enqueuer({
      certificates: this.certificates,
      imports: this.imports,
      producer: this.producer,
      digests: this.notifier,
      rollouts: this.rollouts,
      clock: this.clock,
      defaultAccount: config.cas[0].name,
      ...(accounts === undefined ? {} : { accounts }),
    });
  }

  /** What taking in, and putting back from the files, needs. */
  get restoreDeps(): RestoreDeps {
    const { certificates, imports, certificateFiles, importFiles, removals, renewals } = this;
    const { enqueuer, producer, clock } = this;
    const defaultAccount = this.config.cas[0].name;
    return {
      certificates,
      imports,
      certificateFiles,
      importFiles,
      removals,
      renewals,
      enqueuer,
      producer,
      rollouts: this.rollouts,
      takeAway: (record) => beginRemoval(this.deployDeps, record),
      clock,
      defaultAccount,
      knownAccounts: this.config.cas.map(({ name }) => name),
      ledgers: () => {
        const limits = new Map(this.config.cas.map((ca) => [ca.name, ca.limits]));
        return new LedgerRebuild(this.redis, limits, clock.now());
      },
    };
  }

  /** Orders certificates anew that are there, as one import. */
  async orderAgain(
    chunks: AsyncIterable<readonly CertificateRecord[]>,
    source: string,
  ): Promise<{ importId: string; count: number }> {
    const { notify } = this.config.mail;
    const request = { source, notify, caOf: (record: CertificateRecord) => caOf(this, record) };
    const { id, count } = await orderAgain(this, chunks, request);
    return { importId: id, count };
  }

  /** What bringing certificates to nodes works with. */
  get deployDeps(): DeployDeps {
    const { certificates, certificateFiles, notifier, clock, producer, nodes, turns, config } = this;
    return {
      certificates,
      files: certificateFiles,
      listener: notifier,
      clock,
      producer,
      nodes,
      turns,
      terminations: config.terminations,
      processName: this.processName,
      retry: config.retry,
      tell: this.tell,
      log: this.log,
      warn: (record, subject, detail) => notifier.warn(record, subject, detail),
    };
  }

  /** Whether this host orders: the address of `activeWhen` is here, or there is no other host. */
  get active(): boolean {
    return this.#active ?? this.config.activeAddress === undefined;
  }

  /** Says so when it changes. */
  tellActivity(active: boolean): void {
    if (this.#active === active) return;
    this.#active = active;
    const { activeAddress } = this.config;
    this.log(
      active
        ? `This host is active: ${activeAddress} is here. It orders, renews and deploys.`
        : `This host is passive: ${activeAddress} is not here. It ends what it has in hand, orders nothing more, and deploys to its own nodes.`,
    );
  }

  /** This process among all others on this Redis. */
  get processName(): string {
    return `${this.config.node}:${process.pid}`;
  }

  /** A line for certherd.log. A disk that is full must not stop what the line tells of. */
  readonly tell = (line: string): void => {
    this.#logbook.write(line, new Date(this.clock.now())).catch(() => this.log(line));
  };

  /** Says when Redis goes away under this process, and when it is back; to be called once. */
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
    this.#redisWatch ??= setInterval(() => {
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
  const house = new House(config, await openCheckedRedis(url, role), log);
  try {
    await house.shared?.vault.check();
    return house;
  } catch (error) {
    await house.close();
    throw error;
  }
}
