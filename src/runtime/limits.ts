import { firstNameOf, heldBy } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { Breaker, type BreakerState } from "../limits/breaker.ts";
import { UNKNOWN } from "../limits/buckets.ts";
import { emission } from "../limits/gcra.ts";
import { type Standing, standingOf } from "../limits/standing.ts";
import { type CaLimits, type CertificateLimit, type Limit, limitFor } from "../limits/table.ts";
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
  /** Milliseconds after which one more is allowed; missing where nobody knows. */
  every?: number;
  /** When the last of those that wait should have had its turn, if nobody else comes. */
  clearsAt?: number;
}

export interface AccountReport {
  ca: string;
  /** The account's URL at the CA, once it is registered. */
  account: string | undefined;
  /** Why nothing of it goes on, if nothing does. */
  stopped: string | undefined;
  broken: BreakerState | undefined;
  buckets: BucketReport[];
  /** How many more there are. */
  more: number;
}

/** First names shown of those that wait for one bucket. */
const SHOWN = 3;

/**
 * Every bucket of every account that is not full; of each account `most` at most, the most waited for and the scarcest
 * first. Walks over all keys of Redis: for a person's question.
 */
export async function limitsReport(house: House, most = Number.POSITIVE_INFINITY): Promise<AccountReport[]> {
  return await Promise.all(
    house.config.cas.map(({ name, limits }) => accountReport(house, name, limits, most)),
  );
}

async function accountReport(
  house: House,
  ca: string,
  limits: CaLimits,
  most: number,
): Promise<AccountReport> {
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
  if (buckets.length > most) buckets.sort(byNeed);
  const shown = buckets.slice(0, most);
  shown.sort((a, b) => order(a) - order(b) || b.waits - a.waits || a.key.localeCompare(b.key));
  return {
    ca,
    account: (await accountFiles.load(ca))?.url,
    stopped: (await stops.reason(ca))?.message,
    broken: await new Breaker(redis, ca).state(),
    buckets: shown,
    more: buckets.length - shown.length,
  };
}

/** Which ones a person has to see: the account's own, those that somebody waits for, those of which least is left. */
function byNeed(a: BucketReport, b: BucketReport): number {
  const isOwn = ({ limit }: BucketReport): number => (limit === "newOrders" ? 0 : 1);
  return isOwn(a) - isOwn(b) || b.waits - a.waits || a.remaining / a.burst - b.remaining / b.burst;
}

const ORDER: readonly CertificateLimit[] = ["newOrders", "certificatesPerDomain", "certificatesPerNameSet"];

function order({ limit }: BucketReport): number {
  const place = ORDER.indexOf(limit);
  return place < 0 ? ORDER.length : place;
}

/** Undefined where it is full, and nobody waits for it. */
async function bucketReport(
  house: House,
  ca: string,
  limits: CaLimits,
  seen: SeenBucket,
): Promise<BucketReport | undefined> {
  const now = house.clock.now();
  const { limit, subject, waiting, ...state } = seen;
  const allowed = limitFor(limits, limit, subject);
  // A limit that is only known by the CA's refusal: none, until it ends.
  const refused = { burst: 1, used: 1, remaining: 0, nextAt: Math.max(now, state.tat - UNKNOWN.period) };
  if (!allowed && refused.nextAt <= now) return undefined;
  const standing = allowed ? standingOf(allowed, state, now) : refused;
  if (standing.used <= 0 && waiting === 0) return undefined;
  return await described(house, ca, seen, standing, allowed);
}

async function described(
  { redis, producer, clock }: House,
  ca: string,
  { limit, subject, waiting }: Pick<SeenBucket, "limit" | "subject" | "waiting">,
  standing: Standing,
  allowed: Limit | undefined,
): Promise<BucketReport> {
  const holders =
    waiting > 0 ? await redis.zrange(keys.room(limit, ca, subject), "0", String(SHOWN - 1)) : [];
  const names = holders.map((holder) => firstNameOf(heldBy(holder).id));
  const waits = limit === "newOrders" && standing.remaining <= 1 ? await producer.inLine(ca) : waiting;
  const every = allowed && emission(allowed);
  return {
    limit,
    key: keyOf(limit, subject, ca, names),
    ...standing,
    waits,
    waiting: names,
    ...(every === undefined ? {} : { every, ...clearing(standing, waits, every, clock.now()) }),
  };
}

/** Those that there is a token for go at once, the others one by one as their tokens come back. */
function clearing(
  { remaining, nextAt }: Standing,
  waits: number,
  every: number,
  now: number,
): { clearsAt?: number } {
  if (waits === 0) return {};
  return { clearsAt: waits <= remaining ? now : nextAt + (waits - remaining - 1) * every };
}

/**
 * The account's own limit of each CA, full or not, then the buckets that the most wait for, `most` in all. Looks at the
 * waiting rooms alone, not at all buckets.
 */
export async function budgetsOf(house: House, most: number): Promise<(BucketReport & { ca: string })[]> {
  const each = await Promise.all(
    house.config.cas.map(async ({ name: ca, limits }) => {
      const view = new LedgerView(house.redis, ca);
      const { newOrders } = limits.certificates;
      const own = { limit: "newOrders", subject: "", waiting: 0 } as const;
      const standing =
        newOrders && standingOf(newOrders, await view.state("newOrders", ""), house.clock.now());
      const rooms = await view.fullestRooms(most);
      const reports = rooms.map((seen) => bucketReport(house, ca, limits, seen));
      return {
        own: standing && { ca, ...(await described(house, ca, own, standing, newOrders)) },
        rooms: (await Promise.all(reports)).flatMap((report) => (report ? [{ ca, ...report }] : [])),
      };
    }),
  );
  const waitedFor = each.flatMap(({ rooms }) => rooms).sort((a, b) => b.waits - a.waits);
  return [...each.flatMap(({ own }) => own ?? []), ...waitedFor].slice(0, most);
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

function accountDocument({ ca, account, stopped, broken, buckets, more }: AccountReport) {
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
    buckets: buckets.map(bucketDocument),
    ...(more > 0 ? { more } : {}),
  };
}

/** One bucket of it; `every` in seconds. */
export function bucketDocument<T extends BucketReport>({ nextAt, every, clearsAt, ...bucket }: T) {
  return {
    ...bucket,
    nextAt: rfc3339(nextAt),
    ...(every === undefined ? {} : { every: every / 1_000 }),
    ...(clearsAt === undefined ? {} : { clearsAt: rfc3339(clearsAt) }),
  };
}
