import type { PlanAccount, PlanOrder } from "../../../../src/limits/planner/plan.ts";
import type { OrderLimit } from "../../../../src/limits/table.ts";

export interface NaiveInput {
  now: number;
  account: PlanAccount;
  orders: readonly PlanOrder[];
  settle: number;
}

interface NaiveBucket {
  emission: number;
  burst: number;
  tat: number;
  holds: number;
}

/**
 * The planner's promise in its plainest form: at every millisecond, look at all orders, and let the first one go whose
 * domains and set have a token each, if the account has one. "name time" of each, in the order in which they go.
 */
export function naivePlan({ now, account, orders, settle }: NaiveInput): string[] {
  const buckets = new Map<string, NaiveBucket | undefined>();
  const bucketOf = (kind: OrderLimit, subject: string): NaiveBucket | undefined => {
    const key = `${kind} ${subject}`;
    if (!buckets.has(key)) buckets.set(key, makeBucket(account, kind, subject, now));
    return buckets.get(key);
  };
  const heldBy = (order: PlanOrder): NaiveBucket[] =>
    [
      ...(order.exempt ? [] : order.domains.map((domain) => bucketOf("certificatesPerDomain", domain))),
      bucketOf("certificatesPerNameSet", order.set),
    ].filter((bucket) => bucket !== undefined);

  const due = ({ notBefore }: PlanOrder): number => Math.max(notBefore ?? now, now);
  const left = [...orders].sort(
    (a, b) => Number(!a.exempt) - Number(!b.exempt) || a.priority - b.priority || due(a) - due(b),
  );
  const gone: string[] = [];
  let flights: { at: number; bucket: NaiveBucket }[] = [];
  let paced = 0;
  for (let time = Math.max(now, account.blockedUntil ?? now); left.length > 0; time++) {
    for (;;) {
      for (const { at, bucket } of flights.filter((flight) => flight.at <= time)) {
        bucket.holds--;
        bucket.tat = Math.max(at, bucket.tat) + bucket.emission;
      }
      flights = flights.filter((flight) => flight.at > time);
      const next = left.find(
        (order) => due(order) <= time && heldBy(order).every((bucket) => hasToken(bucket, time)),
      );
      if (next === undefined || time < paced) break;
      const own = next.exempt ? undefined : bucketOf("newOrders", "");
      if (own && !hasToken(own, time)) break;
      if (own) own.tat = Math.max(time, own.tat) + own.emission;
      for (const bucket of heldBy(next)) {
        bucket.holds++;
        flights.push({ at: time + settle, bucket });
      }
      gone.push(`${next.name} ${time}`);
      left.splice(left.indexOf(next), 1);
      paced = time + account.pace;
    }
    if (time > 1_000_000) throw new Error("It never ends.");
  }
  return gone;
}

function makeBucket(
  account: PlanAccount,
  kind: OrderLimit,
  subject: string,
  now: number,
): NaiveBucket | undefined {
  const limit = account.limit(kind, subject);
  if (!limit) return undefined;
  const emission = Math.max(1, Math.floor(limit.period / limit.count));
  const { tat, holds } = account.bucket(kind, subject) ?? { tat: 0, holds: 0 };
  const burst = kind === "newOrders" ? Math.max(1, limit.count - 1) : limit.count;
  return { emission, burst, tat: Math.max(now, tat) + holds * emission, holds: 0 };
}

function hasToken({ emission, burst, tat, holds }: NaiveBucket, time: number): boolean {
  return Math.max(time, tat) + (holds + 1) * emission - emission * burst <= time;
}
