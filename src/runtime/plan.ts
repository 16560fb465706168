import {
  accountOf,
  type CertificateRecord,
  type CertificateSpec,
  namesKey,
  type Status,
} from "../core/certificate.ts";
import { Breaker } from "../limits/breaker.ts";
import { type BucketState, domainOf } from "../limits/buckets.ts";
import type { PlanAccount, PlanOrder } from "../limits/planner/plan.ts";
import { type CaLimits, limitFor, type OrderLimit } from "../limits/table.ts";
import { LedgerView } from "../limits/view.ts";
import { jobIds } from "../queue/names.ts";
import type { House } from "./house.ts";

/** Milliseconds from an order to its certificate, as a rule: validation, a poll or two, and the download. */
export const SETTLES = 3_000;
/** Milliseconds between two orders: what one installation gets done where the CA does not limit it (`npm run bench`). */
const PACE = 20;
/** Requests of one certificate that a CA counts by the second: authorization, challenge, polls, finalize, download. */
const REQUESTS = 6;
/** Certificates that are on their way and have not been ordered yet. Those after it hold their tokens already. */
const UNORDERED: readonly Status[] = ["queued", "checking", "waiting"];

/** What planning looks at. */
export interface PlanHouse extends Pick<House, "redis" | "clock" | "certificates" | "producer"> {
  readonly config: Pick<House["config"], "cas" | "spillAfter">;
}

/** The CA accounts as the planner needs them: their limits, and how their buckets stand. */
export async function planAccounts(house: PlanHouse): Promise<PlanAccount[]> {
  return await Promise.all(
    house.config.cas.map(async ({ name, limits }): Promise<PlanAccount> => {
      const buckets = new Map<string, BucketState>();
      for await (const { limit, subject, tat, holds } of new LedgerView(house.redis, name).all())
        buckets.set(`${limit} ${subject}`, { tat, holds });
      const broken = await new Breaker(house.redis, name).state();
      return {
        ca: name,
        pace: paceOf(limits),
        limit: (kind: OrderLimit, subject: string) => limitFor(limits, kind, subject),
        bucket: (kind: OrderLimit, subject: string) => buckets.get(`${kind} ${subject}`),
        ...(broken ? { blockedUntil: broken.until } : {}),
      };
    }),
  );
}

function paceOf({ requests }: CaLimits): number {
  const { acme } = requests;
  return acme ? Math.max(PACE, (acme.period / acme.count) * REQUESTS) : PACE;
}

/** What stands in line already, in the order in which it was asked for. `reported`: whether the plan is to tell of it. */
export async function queuedOrders(house: PlanHouse, reported = false): Promise<PlanOrder[]> {
  const records: CertificateRecord[] = [];
  for (const status of UNORDERED)
    for await (const record of house.certificates.all(status)) if (isOrder(record)) records.push(record);
  const defaultCa = house.config.cas[0].name;
  const line = await Promise.all(house.config.cas.map(({ name }) => house.producer.placesInLine(name)));
  const placeOf = ({ id, generation }: CertificateRecord): number => {
    const [admit, check] = [jobIds.admit(id, generation), jobIds.check(id, generation)];
    // Who is not in line sleeps in a waiting room: it was in line before.
    return (
      line.map((places) => places.get(admit) ?? places.get(check)).find((place) => place !== undefined) ?? -1
    );
  };
  const placed = records.map((record) => ({ record, place: placeOf(record) }));
  placed.sort((a, b) => a.place - b.place || a.record.acceptedAt - b.record.acceptedAt);
  return placed.map(({ record }) => ({
    ...planOrder(record.spec, reported),
    ca: accountOf(record, defaultCa),
    ...(record.reason === "retry" && record.until !== undefined ? { notBefore: record.until } : {}),
  }));
}

/** Nobody knows when a customer will have set a record, or when somebody here will have mended something. */
function isOrder({ status, reason }: CertificateRecord): boolean {
  return status !== "waiting" || reason === "limit" || reason === "retry";
}

export function planOrder(spec: CertificateSpec, reported: boolean): PlanOrder {
  const { names, priority, ca } = spec;
  return {
    name: names[0] ?? "",
    ...(names.length > 1 ? { names } : {}),
    domains: [...new Set(names.map(domainOf))],
    set: namesKey(names),
    priority,
    reported,
    ...(ca === undefined ? {} : { ca }),
  };
}
