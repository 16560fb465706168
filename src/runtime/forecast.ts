import { type CertificateRecord, firstNameOf } from "../core/certificate.ts";
import { gently } from "../core/gently.ts";
import { planning } from "../limits/planner/planner.ts";
import type { House } from "./house.ts";
import { planAccounts, queuedOrders, SETTLES } from "./plan.ts";

/**
 * By when certificates will be done, as things stand: the plan of what is in line and waits for limits. Made for one
 * question, and thrown away.
 */
export class Forecast {
  readonly #house: House;
  #plan: Promise<ReadonlyMap<string, number>> | undefined;

  constructor(house: House) {
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
    const name = firstNameOf(record.id);
    switch (record.status) {
      case "queued":
      case "checking":
        return (await this.#times()).get(name);
      case "waiting":
        return record.reason === "limit" ? (await this.#times()).get(name) : undefined;
      case "ordering":
      case "validating":
      case "finalizing":
        return this.#house.clock.now() + SETTLES;
      default:
        return undefined;
    }
  }

  /** By when everything that stands in line or waits for a limit will be done. Undefined when nothing does. */
  async all(): Promise<number | undefined> {
    let last: number | undefined;
    for (const at of (await this.#times()).values()) last = Math.max(last ?? 0, at);
    return last;
  }

  /** Only those who ask for one that is in line pay for the plan of all of them. */
  #times(): Promise<ReadonlyMap<string, number>> {
    this.#plan ??= plannedTimes(this.#house);
    return this.#plan;
  }
}

async function plannedTimes(house: House): Promise<ReadonlyMap<string, number>> {
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
