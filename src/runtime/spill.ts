import type { CaConfig } from "../config/load.ts";
import type { CertificateSpec } from "../core/certificate.ts";
import type { AccountChooser } from "../intake/enqueue.ts";
import { Breaker, OUT_OF_SERVICE } from "../limits/breaker.ts";
import { bucketOf } from "../limits/buckets.ts";
import { LedgerView } from "../limits/view.ts";
import type { House } from "./house.ts";

/** How long the next certificate of an account would wait, and by how much each one makes that longer; milliseconds. */
interface Line {
  ca: string;
  wait: number;
  emission: number;
}

/**
 * Where `spillAfter` is set: the first CA in the order of preference at which a certificate would be ordered in time;
 * else the one where it is soonest. A CA that is out of service is passed over.
 */
export function accountChooser(house: House): AccountChooser | undefined {
  const { spillAfter, cas } = house.config;
  if (spillAfter === undefined || cas.length < 2) return undefined;
  return {
    async choose(specs: readonly CertificateSpec[]) {
      const lines = await Promise.all(cas.map((ca) => lineOf(house, ca)));
      return specs.map(({ ca }) => {
        const line = ca === undefined ? best(lines, spillAfter) : lines.find((each) => each.ca === ca);
        if (!line) return undefined;
        line.wait += line.emission;
        return ca === undefined && line !== lines[0] ? line.ca : undefined;
      });
    },
  };
}

function best(lines: readonly Line[], spillAfter: number): Line | undefined {
  const inTime = lines.find(({ wait }) => wait <= spillAfter);
  return inTime ?? lines.reduce((least, line) => (line.wait < least.wait ? line : least), lines[0] as Line);
}

async function lineOf(
  { redis, producer, stops, clock }: House,
  { name: ca, limits }: CaConfig,
): Promise<Line> {
  const now = clock.now();
  const [stopped, broken, inLine] = await Promise.all([
    stops.reason(ca),
    new Breaker(redis, ca).state(),
    producer.inLine(ca),
  ]);
  // Past its moment somebody has to try it out, or it would stay open for ever.
  const isOut = broken?.scope === "ca" && now - broken.since >= OUT_OF_SERVICE && broken.until > now;
  if (stopped || isOut) return { ca, wait: Number.POSITIVE_INFINITY, emission: 0 };
  const { tat, holds } = await new LedgerView(redis, ca).state("newOrders", "");
  const { emission, burst } = bucketOf(limits, "newOrders", "");
  // Below 0 there are tokens left; each certificate in line takes one.
  const wait = Math.max(now, tat) + (holds + inLine + 1) * emission - emission * burst - now;
  return { ca, wait, emission };
}
