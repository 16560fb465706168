import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ForeignHome } from "../adopt/found.ts";
import type { AdoptDeps, Present } from "../adopt/ports.ts";
import type { Config } from "../config/load.ts";
import { systemClock } from "../core/clock.ts";
import { usageError } from "../core/errors.ts";
import { AccountFiles } from "../store/accounts.ts";
import { CertificateStore } from "../store/certificates.ts";
import { readJson } from "../store/disk.ts";
import { type CertificateFile, CertificateFiles } from "../store/files.ts";
import { leavePrivateRedis, runningPrivateRedis } from "../store/private-redis.ts";
import { openCheckedRedis } from "../store/redis.ts";
import { openStores } from "../store/stores.ts";
import type { House } from "./house.ts";
import { renewalSchedule } from "./renewals.ts";

const TURN = "adopt";
/** Milliseconds between two signs of who has the turn, which lapses after 10 s. */
const KEEP_TURN = 3_000;
const ASK_EVERY = 500;
/** Milliseconds; the turn of one that was killed lapses before. */
const PATIENCE = 15_000;

/**
 * Refuses to write as root into the folder of another user, who could not read it: root is tempting, as the keys of other
 * clients are root's mostly.
 */
export async function checkOwner(home: string, uid = process.getuid?.()): Promise<void> {
  const owner = (await stat(home).catch(() => undefined))?.uid;
  if (uid !== 0 || owner === undefined || owner === 0) return;
  throw usageError(
    "adopt_wrong_user",
    `${home} belongs to the user ${owner}, who could not read what root writes there. Give that user a copy of the other client's folder, and run this as that user: docs/adopt.md#where-certherd-runs-as-a-user-of-its-own.`,
  );
}

/** Taking over for real. */
export function adoptDeps(house: House, home: ForeignHome): AdoptDeps {
  const { certificates, certificateFiles, accountFiles, notifier, rollouts, clock, config } = house;
  return {
    home,
    cas: config.cas,
    dnsProviders: config.dns01.providers,
    now: () => clock.now(),
    present: {
      records: (ids) => certificates.getMany(ids),
      file: (id) => certificateFiles.read(id),
      accountKey: (ca) => accountFiles.knownKey(ca),
    },
    write: {
      accounts: accountFiles,
      certificates,
      files: certificateFiles,
      listener: notifier,
      rollouts,
      clock,
      plan: (record, leaf) => {
        const { renewAt, schedule } = renewalSchedule(house).first(leaf, record, clock.now());
        return { leaf: { ...leaf, renewAt }, schedule };
      },
      ledgers: house.restoreDeps.ledgers,
    },
  };
}

/** One at a time: two would write the same certificates. `patience`: milliseconds for which another one is waited for. */
export async function inTurn<T>(house: House, action: () => Promise<T>, patience = PATIENCE): Promise<T> {
  const { turns, processName } = house;
  await waitForTurn(house, patience);
  const keeping = setInterval(() => void turns.take(TURN, processName).catch(() => false), KEEP_TURN);
  try {
    return await action();
  } finally {
    clearInterval(keeping);
    await turns.give(TURN, processName);
  }
}

/** Asked for until it comes: whoever asks only once stands in the way of those who come after. */
async function waitForTurn({ turns, processName, log }: House, patience: number): Promise<void> {
  for (let waited = 0; !(await turns.take(TURN, processName)); waited += ASK_EVERY) {
    if (waited >= patience)
      throw usageError("adopt_running", "Another `certherd adopt` is at work; wait until it is done.");
    if (waited === 0) log("Another `certherd adopt` is at work, or was killed; waiting for it.");
    await sleep(ASK_EVERY);
  }
}

/**
 * For a dry run, which changes nothing: no house is opened, no Redis started, and no file mended. Where the index can be
 * asked it is, else the files are looked at as they lie there.
 */
export async function withLook<T>(
  config: Config,
  home: ForeignHome,
  action: (deps: AdoptDeps) => Promise<T>,
): Promise<T> {
  const { redisUrl, storeKey } = config;
  const url = redisUrl ?? (await runningPrivateRedis(config.home));
  const redis = url === undefined ? undefined : await openCheckedRedis(url, "look");
  try {
    const certificates = redis && new CertificateStore(redis);
    const accounts = redis
      ? openStores(config.home, redis, storeKey).accounts
      : new AccountFiles(config.home);
    const present: Present = {
      records: async (ids) => (await certificates?.getMany(ids)) ?? ids.map(() => undefined),
      file: (id) => fileAsItLies(config.home, id),
      accountKey: (ca) => accounts.knownKey(ca),
    };
    return await action({
      home,
      cas: config.cas,
      dnsProviders: config.dns01.providers,
      now: () => systemClock.now(),
      present,
    });
  } finally {
    redis?.disconnect();
    if (redisUrl === undefined && url !== undefined) await leavePrivateRedis(config.home);
  }
}

async function fileAsItLies(home: string, id: string): Promise<CertificateFile | undefined> {
  return await readJson<CertificateFile>(join(new CertificateFiles(home).folder(id), "certificate.json"));
}
