import { firstNameOf, heldBy } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { Breaker, type BreakerState } from "../limits/breaker.ts";
import { UNKNOWN } from "../limits/buckets.ts";
import { standingOf } from "../limits/standing.ts";
import { type CaLimits, type CertificateLimit, limitFor } from "../limits/table.ts";
import { LedgerView, type SeenBucket } from "../limits/view.ts";
import { keys } from "../store/keys.ts";
import type { House } from "./house.ts";

/** A bucket that is not full, or that somebody waits for. Times in milliseconds since the epoch. */
export interface BucketReport {
  limit: CertificateLimit;
  /** A registered domain, a name, the first name of a set; the CA where it is the account's own. */
  key: string;
  burst: number;
  used: number;
  remaining: number;
  nextAt: number;
  /** How many certificates wait for it, and the first of them. */
  waits: number;
  waiting: string[];
}

export interface AccountReport {
  ca: string;
  /** The account's URL at the CA, once it is registered. */
  account: string | undefined;
  /** Why nothing of it goes on, if nothing does. */
  stopped: string | undefined;
  broken: BreakerState | undefined;
  buckets: BucketReport[];
}

/** First names shown of those that wait for one bucket. */
const SHOWN = 3;

/** Every bucket of every account that is not full. Walks over all keys of Redis: for a person's question. */
export async function limitsReport(house: House): Promise<AccountReport[]> {
  return await Promise.all(house.config.cas.map(({ name, limits }) => accountReport(house, name, limits)));
}

async function accountReport(house: House, ca: string, limits: CaLimits): Promise<AccountReport> {
  const { redis, accountFiles, stops, clock } = house;
  const view = new LedgerView(redis, ca);
  const buckets: BucketReport[] = [];
  for await (const seen of view.all()) {
    const report = await bucketReport(house, ca, limits, seen);
    if (report) buckets.push(report);
  }
  const failures = limits.certificates.failedAuthorizations;
  for await (const { name, places, oldest } of view.failures()) {
    const nextAt = oldest + (failures?.period ?? 0);
    if (!failures || nextAt <= clock.now()) continue;
    const remaining = Math.max(0, failures.count - places);
    const counts = { burst: failures.count, used: places, remaining, nextAt };
    buckets.push({ limit: "failedAuthorizations", key: name, ...counts, waits: 0, waiting: [] });
  }
  buckets.sort((a, b) => order(a) - order(b) || b.waits - a.waits || a.key.localeCompare(b.key));
  return {
    ca,
    account: (await accountFiles.load(ca))?.url,
    stopped: (await stops.reason(ca))?.message,
    broken: await new Breaker(redis, ca).state(),
    buckets,
  };
}

const ORDER: readonly CertificateLimit[] = ["newOrders", "certificatesPerDomain", "certificatesPerNameSet"];

function order({ limit }: BucketReport): number {
  const place = ORDER.indexOf(limit);
  return place < 0 ? ORDER.length : place;
}

async function bucketReport(
  { redis, producer, clock }: House,
  ca: string,
  limits: CaLimits,
  { limit, subject, waiting, ...state }: SeenBucket,
): Promise<BucketReport | undefined> {
  const now = clock.now();
  const allowed = limitFor(limits, limit, subject);
  // A limit that is only known by the CA's refusal: none, until it ends.
  const refused = { burst: 1, used: 1, remaining: 0, nextAt: Math.max(now, state.tat - UNKNOWN.period) };
  if (!allowed && refused.nextAt <= now) return undefined;
  const standing = allowed ? standingOf(allowed, state, now) : refused;
  if (standing.used <= 0 && waiting === 0) return undefined;
  const holders =
    waiting > 0 ? await redis.zrange(keys.room(limit, ca, subject), "0", String(SHOWN - 1)) : [];
  const names = holders.map((holder) => firstNameOf(heldBy(holder).id));
  const inLine = limit === "newOrders" && standing.remaining <= 1 ? await producer.inLine(ca) : waiting;
  return {
    limit,
    key: keyOf(limit, subject, ca, names),
    ...standing,
    waits: inLine,
    waiting: names,
  };
}

/** A set of names is known to a person by the first of them, which only somebody who waits for it can tell. */
function keyOf(limit: CertificateLimit, subject: string, ca: string, waiting: readonly string[]): string {
  if (limit === "certificatesPerDomain") return subject;
  if (limit === "certificatesPerNameSet") return waiting[0] ?? `set ${subject}`;
  return ca;
}

/** `{accounts: […]}` of the contract. */
export function limitsDocument(accounts: readonly AccountReport[]) {
  return { accounts: accounts.map(accountDocument) };
}

function accountDocument({ ca, account, stopped, broken, buckets }: AccountReport) {
  return {
    ca,
    account: account ?? null,
    ...(stopped === undefined ? {} : { stopped }),
    ...(broken === undefined
      ? {}
      : {
          paused: {
            code: broken.code,
            detail: broken.detail,
            failures: broken.count,
            since: rfc3339(broken.since),
            nextTryAt: rfc3339(broken.until),
          },
        }),
    buckets: buckets.map(({ nextAt, ...bucket }) => ({ ...bucket, nextAt: rfc3339(nextAt) })),
  };
}
