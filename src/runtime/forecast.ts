import { type CertificateRecord, firstNameOf } from "../core/certificate.ts";
import { gently } from "../core/gently.ts";
import { planning } from "../limits/planner/planner.ts";
import { type PlanHouse, planAccounts, queuedOrders, SETTLES } from "./plan.ts";

/**
 * By when certificates will be done, as things stand: the plan of what is in line and waits for limits. Made for one
 * question, and thrown away.
 */
export class Forecast {
  readonly #house: PlanHouse;
  #plan: Promise<ReadonlyMap<string, number>> | undefined;

  constructor(house: PlanHouse) {
    this.#house = house;
  }

  /** Each record with the moment by which it should be done; undefined for what nobody can say, or is done. */
  async *each(
    records: AsyncIterable<CertificateRecord>,
  ): AsyncGenerator<{ record: CertificateRecord; doneBy: number | undefined }> {
    for await (const record of records) yield { record, doneBy: await this.of(record) };
  }

  /** Milliseconds since the epoch. */
  async of(record: Pick<CertificateRecord, "id" | "status" | "reason">): Promise<number | undefined> {
    switch (whereIs(record)) {
      case "in line":
        return (await this.times()).get(firstNameOf(record.id));
      case "at the CA":
        return this.#house.clock.now() + SETTLES;
      case "elsewhere":
        return undefined;
    }
  }

  /** By when everything that stands in line or waits for a limit will be done. Undefined when nothing does. */
  async all(): Promise<number | undefined> {
    return lastOf(await this.times());
  }

  /** By first name. Only those who ask for one that is in line pay for the plan of all of them. */
  times(): Promise<ReadonlyMap<string, number>> {
    this.#plan ??= plannedTimes(this.#house);
    return this.#plan;
  }
}

/** The latest of these names, or of all; undefined where none of them is planned. */
export function lastOf(
  times: ReadonlyMap<string, number>,
  names: Iterable<string> = times.keys(),
): number | undefined {
  let last: number | undefined;
  for (const name of names) {
    const at = times.get(name);
    if (at !== undefined) last = Math.max(last ?? 0, at);
  }
  return last;
}

/** Whether the plan tells when a certificate will be there, or it is being obtained now; else nobody can say. */
export function whereIs({
  status,
  reason,
}: Pick<CertificateRecord, "status" | "reason">): "in line" | "at the CA" | "elsewhere" {
  switch (status) {
    case "queued":
    case "checking":
      return "in line";
    case "waiting":
      return reason === "limit" ? "in line" : "elsewhere";
    case "ordering":
    case "validating":
    case "finalizing":
      return "at the CA";
    default:
      return "elsewhere";
  }
}

async function plannedTimes(house: PlanHouse): Promise<ReadonlyMap<string, number>> {
  const { spillAfter, cas } = house.config;
  const steps = planning({
    now: house.clock.now(),
    accounts: await planAccounts(house),
    orders: await queuedOrders(house, true),
    settle: SETTLES,
    advice: false,
    ...(spillAfter === undefined || cas.length < 2 ? {} : { spillAfter }),
  });
  const { certificates } = await gently(steps);
  return new Map(certificates.map(({ name, at }) => [name, at + SETTLES]));
}
