import { accountOf, type CertificateRecord } from "../core/certificate.ts";
import { bucketOf } from "../limits/buckets.ts";
import { limitFor, type OrderLimit } from "../limits/table.ts";
import { LedgerView } from "../limits/view.ts";
import type { House } from "./house.ts";
import { PACE, SETTLES } from "./plan.ts";

const SLICE = 500;

/** When a bucket has its `count`-th token from now on; milliseconds since the epoch. */
type TokenAt = (count: number) => number;

/**
 * By when certificates will be done, as things stand: by their place in line, and the tokens that are there. Reads each
 * account once; made for one question, and thrown away.
 */
export class Forecast {
  readonly #house: House;
  readonly #orders = new Map<string, Promise<TokenAt>>();

  constructor(house: House) {
    this.#house = house;
  }

  /** Each record with the moment by which it should be done; undefined for what nobody can say, or is done. */
  async *each(
    records: AsyncIterable<CertificateRecord>,
  ): AsyncGenerator<{ record: CertificateRecord; doneBy: number | undefined }> {
    let slice: CertificateRecord[] = [];
    for await (const record of records) {
      if (slice.push(record) < SLICE) continue;
      yield* await this.#slice(slice);
      slice = [];
    }
    yield* await this.#slice(slice);
  }

  async of(record: CertificateRecord): Promise<number | undefined> {
    return (await this.#slice([record]))[0]?.doneBy;
  }

  /** By when everything that stands in line or waits for a limit will be done. Undefined when nothing does. */
  async all(): Promise<number | undefined> {
    const times = await Promise.all(this.#house.config.cas.map(({ name }) => this.#lastOf(name)));
    const last = Math.max(0, ...times.flat());
    return last === 0 ? undefined : last + SETTLES;
  }

  async #slice(
    records: readonly CertificateRecord[],
  ): Promise<{ record: CertificateRecord; doneBy: number | undefined }[]> {
    const fallback = this.#house.config.cas[0].name;
    const accounts = records.map((record) => accountOf(record, fallback));
    const places = new Map<CertificateRecord, number | undefined>();
    for (const account of new Set(accounts)) {
      const inLine = records.filter((record, index) => accounts[index] === account && isInLine(record));
      if (inLine.length === 0) continue;
      const found = await this.#house.producer.placesInLine(account, inLine);
      for (const [index, record] of inLine.entries()) places.set(record, found[index]);
    }
    return await Promise.all(
      records.map(async (record, index) => ({
        record,
        doneBy: await this.#doneBy(record, accounts[index] ?? fallback, places.get(record)),
      })),
    );
  }

  async #doneBy(
    record: CertificateRecord,
    account: string,
    place: number | undefined,
  ): Promise<number | undefined> {
    const now = this.#house.clock.now();
    switch (record.status) {
      case "waiting":
        return record.reason === "limit" && record.until !== undefined ? record.until + SETTLES : undefined;
      case "queued":
      case "checking":
        return place === undefined ? undefined : (await this.#tokenOf(account))(place + 1) + SETTLES;
      case "ordering":
      case "validating":
      case "finalizing":
        return now + SETTLES;
      default:
        return undefined;
    }
  }

  #tokenOf(account: string): Promise<TokenAt> {
    const known = this.#orders.get(account) ?? this.#tokens(account, "newOrders", "");
    this.#orders.set(account, known);
    return known;
  }

  async #tokens(account: string, limit: OrderLimit, subject: string): Promise<TokenAt> {
    const { redis, clock, config } = this.#house;
    const limits = config.cas.find(({ name }) => name === account)?.limits;
    const bucket = limits && limitFor(limits, limit, subject) && bucketOf(limits, limit, subject);
    const now = clock.now();
    if (!bucket) return (count) => now + count * PACE;
    const { tat, holds } = await new LedgerView(redis, account).state(limit, subject);
    const { emission, burst } = bucket;
    const start = Math.max(now, tat) + holds * emission - burst * emission;
    return (count) => Math.max(now + count * PACE, start + count * emission);
  }

  /** When the last one in line, and the last one of each waiting room, is ordered. */
  async #lastOf(account: string): Promise<number[]> {
    const { producer, redis } = this.#house;
    const inLine = await producer.inLine(account);
    const times = inLine > 0 ? [(await this.#tokenOf(account))(inLine)] : [];
    for (const { limit, subject, waiting } of await new LedgerView(redis, account).rooms())
      if (waiting > 0) times.push((await this.#tokens(account, limit, subject))(waiting));
    return times;
  }
}

function isInLine({ status }: CertificateRecord): boolean {
  return status === "queued" || status === "checking";
}
