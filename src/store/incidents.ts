import type { Redis } from "ioredis";
import { keys } from "./keys.ts";
import { execAll } from "./script.ts";

export interface IncidentTimes {
  /** Milliseconds without another certificate after which a person is told. */
  quiet: number;
  /** Milliseconds after which a person is told, though there are more and more. */
  longest: number;
}

const TIMES: IncidentTimes = { quiet: 120_000, longest: 900_000 };
/** Milliseconds after the last certificate of an incident: what comes later is another one. */
const OVER = 2 * 86_400_000;

/** How many times as many certificates are news again. */
const GROWN = 10;

export interface Incident {
  /** Certificates that are to be replaced. */
  count: number;
  /** Those that the CA was asked about meanwhile. */
  asked: number;
  /** Milliseconds since the epoch. */
  since: number;
  /** One of them. */
  first: string;
}

/** What CAs want replaced at once, counted over all processes, so that a person is told once. */
export class Incidents {
  readonly #redis: Redis;
  readonly #times: IncidentTimes;

  constructor(redis: Redis, times: IncidentTimes = TIMES) {
    this.#redis = redis;
    this.#times = times;
  }

  /** `ids`: of those that were asked about, the ones to be replaced; where there are none, nothing is begun. */
  async note(ca: string, ids: readonly string[], asked: number, now: number): Promise<void> {
    const [state, members] = [keys.incident(ca), keys.incidentCertificates(ca)];
    if (ids.length === 0) {
      if ((await this.#redis.exists(state)) === 1) await this.#redis.hincrby(state, "asked", asked);
      return;
    }
    await execAll(
      this.#redis
        .pipeline()
        .hsetnx(state, "since", now)
        .hset(state, "last", now)
        .hincrby(state, "asked", asked)
        .sadd(members, ...ids)
        .pexpire(state, OVER)
        .pexpire(members, OVER),
    );
  }

  /**
   * The incident of a CA of which a person is to be told now: once, and again when it has become ten times as large, as
   * one certificate is not yet all of them. `told` is called when that is done.
   */
  async due(ca: string, now: number): Promise<Incident | undefined> {
    const [state, members] = [keys.incident(ca), keys.incidentCertificates(ca)];
    const [since, last, asked, told] = await this.#redis.hmget(state, "since", "last", "asked", "told");
    if (!since) return undefined;
    const { quiet, longest } = this.#times;
    if (now - Number(last) < quiet && now - Number(since) < longest) return undefined;
    const [count, first] = await Promise.all([this.#redis.scard(members), this.#redis.srandmember(members)]);
    if (told && count < GROWN * Number(told)) return undefined;
    return { count, asked: Number(asked), since: Number(since), first: first ?? "" };
  }

  async told(ca: string, { count }: Pick<Incident, "count">): Promise<void> {
    await this.#redis.hset(keys.incident(ca), "told", count);
  }
}
