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
  const defaultCa = house.config.cas[0].name;
  const made = new Orders();
  const found: (Pick<CertificateRecord, "id" | "generation" | "acceptedAt"> & { order: PlanOrder })[] = [];
  for (const status of UNORDERED)
    for await (const record of house.certificates.all(status)) {
      if (!isOrder(record)) continue;
      const { id, generation, acceptedAt, reason, until } = record;
      const order: PlanOrder = {
        ...made.of(record.spec, reported),
        ca: accountOf(record, defaultCa),
        ...(reason === "retry" && until !== undefined ? { notBefore: until } : {}),
      };
      found.push({ id, generation, acceptedAt, order });
    }
  const line = await Promise.all(house.config.cas.map(({ name }) => house.producer.placesInLine(name)));
  const placeOf = ({ id, generation }: Pick<CertificateRecord, "id" | "generation">): number => {
    const [admit, check] = [jobIds.admit(id, generation), jobIds.check(id, generation)];
    // Who is not in line sleeps in a waiting room: it was in line before.
    return (
      line.map((places) => places.get(admit) ?? places.get(check)).find((place) => place !== undefined) ?? -1
    );
  };
  const placed = found.map((one) => ({ ...one, place: placeOf(one) }));
  placed.sort((a, b) => a.place - b.place || a.acceptedAt - b.acceptedAt);
  return placed.map(({ order }) => order);
}

/** Nobody knows when a customer will have set a record, or when somebody here will have mended something. */
function isOrder({ status, reason }: CertificateRecord): boolean {
  return status !== "waiting" || reason === "limit" || reason === "retry";
}

export function planOrder(spec: CertificateSpec, reported: boolean): PlanOrder {
  return new Orders().of(spec, reported);
}

/** Makes orders for the planner of what was asked for; many have their domains in common, which are kept once. */
export class Orders {
  readonly #domains = new Map<string, readonly string[]>();

  of({ names, priority, ca }: CertificateSpec, reported: boolean): PlanOrder {
    return {
      name: names[0] ?? "",
      ...(names.length > 1 ? { names } : {}),
      domains: this.#domainsOf(names),
      set: namesKey(names),
      priority,
      reported,
      ...(ca === undefined ? {} : { ca }),
    };
  }

  #domainsOf(names: readonly string[]): readonly string[] {
    const domains = [...new Set(names.map(domainOf))];
    const key = domains.join(" ");
    const known = this.#domains.get(key) ?? domains;
    this.#domains.set(key, known);
    return known;
  }
}
