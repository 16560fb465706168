import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type CertificateRecord, firstNameOf } from "../core/certificate.ts";
import { keys } from "../store/keys.ts";
import { ensurePrivateRedis } from "../store/private-redis.ts";
import { execAll } from "../store/script.ts";
import { Forecast, lastOf, whereIs } from "./forecast.ts";
import type { House } from "./house.ts";
import { SETTLES } from "./plan.ts";
import type { Service } from "./service.ts";

/** Milliseconds for which a plan serves, and how many times longer than it took to make. */
const LIFETIME = 30_000;
const REST = 10;
/** The same for whoever asks for one that came after the plan. */
const SHORT_LIFETIME = 1_000;
/** Milliseconds for which an answer waits for a plan: it goes without then, and whoever asks again finds it. */
const PATIENCE = 25;

type Standing = Pick<CertificateRecord, "id" | "status" | "reason">;

export interface ForecastSettings extends Pick<House["config"], "cas" | "spillAfter"> {
  redisUrl: string;
}

/** When the last of these is done; without names: plan anew, and say when the last one of all is. */
export interface ForecastQuestion {
  number: number;
  names?: readonly string[];
}

export interface ForecastAnswer {
  number: number;
  at: number | undefined;
  failed?: string;
}

interface Planner extends Service {
  plan(): Promise<number | undefined>;
  latestOf(names: readonly string[]): Promise<number | undefined>;
}

/**
 * The forecast for a process that has to answer many: planned in a thread of its own, kept for a while, and made once for
 * all that ask meanwhile. What is not known yet, as the first plan takes long, is undefined.
 */
export class Outlook implements Service {
  readonly #house: House;
  #planner: Promise<Planner> | undefined;
  #planning: { since: number; done: Promise<void> } | undefined;
  #plan: { last: number | undefined; at: number; took: number } | undefined;
  #closed = false;

  constructor(house: House) {
    this.#house = house;
  }

  /** By when all that is in line will be done, milliseconds since the epoch; undefined when nothing is. */
  async all(): Promise<number | undefined> {
    const { redis } = this.#house;
    const pipeline = redis.pipeline().zcard(keys.status("queued")).zcard(keys.status("checking"));
    const counts = await execAll(pipeline.zcard(keys.waiting("limit")).zcard(keys.waiting("retry")));
    if (counts.every((count) => count === 0)) return undefined;
    await this.#refresh(LIFETIME);
    return this.#plan?.last;
  }

  /** By when this one should be done. */
  async of(record: Standing): Promise<number | undefined> {
    const name = firstNameOf(record.id);
    switch (whereIs(record)) {
      case "in line": {
        await this.#refresh(LIFETIME);
        const known = await this.#ask([name]);
        if (known !== undefined) return known;
        await this.#refresh(SHORT_LIFETIME);
        return await this.#ask([name]);
      }
      case "at the CA":
        return this.#house.clock.now() + SETTLES;
      case "elsewhere":
        return undefined;
    }
  }

  /** By when the last of these should be done; undefined where that can be said of none. */
  async latest(standings: readonly Standing[]): Promise<number | undefined> {
    const names = standings.filter((one) => whereIs(one) === "in line").map(({ id }) => firstNameOf(id));
    const isAtCa = standings.some((one) => whereIs(one) === "at the CA");
    const soon = isAtCa ? this.#house.clock.now() + SETTLES : undefined;
    if (names.length === 0) return soon;
    await this.#refresh(LIFETIME);
    const planned = await this.#ask(names);
    return planned === undefined ? soon : Math.max(planned, soon ?? 0);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#end();
  }

  async #end(): Promise<void> {
    await (await this.#planner?.catch(() => undefined))?.close();
  }

  async #ask(names: readonly string[]): Promise<number | undefined> {
    if (this.#plan === undefined) return undefined;
    return await (await this.#planner)?.latestOf(names).catch(() => undefined);
  }

  /** Waits a moment for the first plan, and for a newer one; what is there already serves while the next one is made. */
  async #refresh(lifetime: number): Promise<void> {
    if (this.#closed) return;
    const { clock } = this.#house;
    const plan = this.#plan;
    if (plan && clock.now() < plan.at + Math.max(lifetime, plan.took * REST)) return;
    this.#planning ??= this.#begin();
    const left = this.#planning.since + PATIENCE - clock.now();
    if ((plan === undefined || lifetime === SHORT_LIFETIME) && left > 0)
      await Promise.race([this.#planning.done, sleep(left, undefined, { ref: false })]);
  }

  #begin(): { since: number; done: Promise<void> } {
    const done = this.#make().finally(() => {
      this.#planning = undefined;
    });
    return { since: this.#house.clock.now(), done };
  }

  async #make(): Promise<void> {
    const begunAt = this.#house.clock.now();
    let last = this.#plan?.last;
    try {
      this.#planner ??= openPlanner(this.#house);
      last = await (await this.#planner).plan();
    } catch (error) {
      // Its thread was ended in the middle of it.
      if (this.#closed) return;
      // The next one begins anew, in its time.
      this.#house.log(`The forecast failed: ${error instanceof Error ? error.message : error}`);
      await this.#end();
      this.#planner = undefined;
    }
    const at = this.#house.clock.now();
    this.#plan = { last, at, took: at - begunAt };
  }
}

/** In a thread; here where this runs from its TypeScript, which a thread of Node 20 does not read. */
async function openPlanner(house: House): Promise<Planner> {
  if (import.meta.url.endsWith(".ts")) return new HerePlanner(house);
  const { redisUrl = await ensurePrivateRedis(house.config.home), cas, spillAfter } = house.config;
  return new ThreadPlanner({ redisUrl, cas, ...(spillAfter === undefined ? {} : { spillAfter }) });
}

class HerePlanner implements Planner {
  readonly #house: House;
  #times: ReadonlyMap<string, number> = new Map();

  constructor(house: House) {
    this.#house = house;
  }

  async plan(): Promise<number | undefined> {
    this.#times = await new Forecast(this.#house).times();
    return lastOf(this.#times);
  }

  async latestOf(names: readonly string[]): Promise<number | undefined> {
    return lastOf(this.#times, names);
  }

  async close(): Promise<void> {}
}

class ThreadPlanner implements Planner {
  readonly #worker: Worker;
  readonly #open = new Map<number, (answer: ForecastAnswer) => void>();
  #questions = 0;
  #ended = false;

  constructor(settings: ForecastSettings) {
    this.#worker = new Worker(new URL("./forecast-thread.js", import.meta.url), { workerData: settings });
    this.#worker.unref();
    this.#worker.on("message", (answer: ForecastAnswer) => this.#settle(answer));
    const fail = (failed: string): void => {
      for (const number of [...this.#open.keys()]) this.#settle({ number, at: undefined, failed });
    };
    this.#worker.on("error", (error: Error) => fail(error.message));
    this.#worker.on("exit", () => {
      this.#ended = true;
      fail("its thread has ended");
    });
  }

  async plan(): Promise<number | undefined> {
    return await this.#ask({});
  }

  async latestOf(names: readonly string[]): Promise<number | undefined> {
    return await this.#ask({ names });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  async #ask(question: Omit<ForecastQuestion, "number">): Promise<number | undefined> {
    if (this.#ended) throw new Error("its thread has ended");
    const number = this.#questions++;
    const answer = await new Promise<ForecastAnswer>((resolve) => {
      this.#open.set(number, resolve);
      this.#worker.postMessage({ ...question, number } satisfies ForecastQuestion);
    });
    if (answer.failed !== undefined) throw new Error(answer.failed);
    return answer.at;
  }

  #settle(answer: ForecastAnswer): void {
    this.#open.get(answer.number)?.(answer);
    this.#open.delete(answer.number);
  }
}
