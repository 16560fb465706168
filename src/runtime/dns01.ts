import type { DnsProviderConfig } from "../config/dns.ts";
import { asAppError } from "../core/errors.ts";
import { run } from "../deploy/targets/run.ts";
import { Dns01 } from "../dns/dns01.ts";
import { createExec } from "../dns/exec.ts";
import type { DnsProvider } from "../dns/provider.ts";
import { createRfc2136 } from "../dns/rfc2136.ts";
import type { DnsAnswer, DnsChallenges, DnsPlace } from "../issuance/ports.ts";
import { type DnsOnRecord, DnsRecords } from "../store/dns-records.ts";
import type { House } from "./house.ts";
import { every, type Service } from "./service.ts";

/** Milliseconds between two looks at what is to be removed. */
const LOOK = 2_000;
/** Records removed at once; the providers bound it further. */
const AT_ONCE = 32;
/** Milliseconds until what could not be removed is tried again: doubled each time, up to the second one. */
const AGAIN = 60_000;
const LONGEST = 6 * 3_600_000;
/** Tries: some three days. */
const MOST_TRIES = 20;
/** Milliseconds for which the end of a process waits for what is to be removed. */
const AT_THE_END = 10_000;

type DnsHouse = Pick<House, "config" | "clock" | "redis" | "log">;

/** The configured providers, and what they have set. One of them for all accounts of a process. */
export class DnsInHouse implements DnsChallenges {
  readonly propagation: DnsChallenges["propagation"];
  readonly #dns: Dns01;
  readonly #records: DnsRecords;
  readonly #house: DnsHouse;

  constructor(house: DnsHouse) {
    const { config, clock, redis } = house;
    const { providers, resolvers, propagation } = config.dns01;
    this.#house = house;
    this.propagation = propagation;
    this.#records = new DnsRecords(redis);
    this.#dns = new Dns01({
      providers: providers.map((provider) => ({ ...provider, driver: driverOf(provider, house) })),
      resolvers,
      port: propagation.port,
      clock,
    });
  }

  async place(name: string): Promise<DnsPlace> {
    return await this.#dns.place(name);
  }

  async present(answers: readonly DnsAnswer[], until: number): Promise<void> {
    await this.#records.keep(answers, until);
    await allOf(answers.map((answer) => this.#dns.present(answer)));
  }

  async prolong(answers: readonly DnsAnswer[], until: number): Promise<boolean> {
    return await this.#records.prolong(answers, until);
  }

  async missing(answers: readonly DnsAnswer[]): Promise<string[]> {
    return await this.#dns.missing(answers);
  }

  async done(answers: readonly DnsAnswer[]): Promise<void> {
    await this.#records.keep(answers, this.#house.clock.now());
  }

  /** Removes all that is due. */
  async sweep(): Promise<void> {
    for (;;) {
      const due = await this.#records.take(AT_ONCE, this.#house.clock.now());
      if (due.length === 0) return;
      await allOf(due.map((record) => this.#remove(record)));
    }
  }

  async #remove(record: DnsOnRecord): Promise<void> {
    const { clock, log } = this.#house;
    try {
      await this.#dns.cleanUp(record);
      await this.#records.forget(record);
    } catch (thrown) {
      const { message } = asAppError(thrown);
      const tries = await this.#records.failed(record);
      const what = `The TXT ${record.value} of ${record.name}`;
      if (tries >= MOST_TRIES) {
        await this.#records.forget(record);
        log(`${what} could not be removed ${tries} times, and is left: remove it by hand. ${message}`);
        return;
      }
      await this.#records.keep([record], clock.now() + Math.min(AGAIN * 2 ** (tries - 1), LONGEST));
      log(`${what} could not be removed, and is tried again later. ${message}`);
    }
  }
}

/** All of them end before the first failure is told: nothing may go on in the background. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work))
    if (outcome.status === "rejected") throw outcome.reason;
}

function driverOf({ driver }: DnsProviderConfig, { clock }: DnsHouse): DnsProvider {
  return driver.kind === "rfc2136" ? createRfc2136(driver, clock) : createExec(driver, run);
}

/** Removes what is needed no more, for as long as this process lives, and once more at its end. */
export function startDnsSweep(house: DnsHouse, dns: DnsInHouse): Service {
  const sweep = every(LOOK, house, () => dns.sweep());
  return {
    async close() {
      await sweep.close();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, AT_THE_END);
      });
      const last = house.redis.status === "ready" ? dns.sweep() : Promise.resolve();
      await Promise.race([last.catch((error: Error) => house.log(error.message)), late]);
      clearTimeout(timer);
    },
  };
}
