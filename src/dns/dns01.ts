import type { Clock } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import { challengeName, followCname } from "./delegation.ts";
import type { Server } from "./exchange.ts";
import { Lookup } from "./lookup.ts";
import { Propagation } from "./propagation.ts";
import type { DnsProvider, TxtRecord } from "./provider.ts";

/** A provider, and the zones it is for. */
export interface ZonedProvider {
  name: string;
  /** Names: each stands for itself and all below it. */
  zones: readonly string[];
  /** The zone on the server, where that is not to be looked up. */
  zone?: string | undefined;
  /** Asked whether the record is there, in place of the zone's own name servers. */
  servers: readonly Server[];
  driver: DnsProvider;
}

/** Where the TXT of a name goes. */
export interface DnsPlace {
  provider: string;
  name: string;
  zone: string;
}

/** One TXT to be set, and by whom. */
export interface DnsAnswer extends TxtRecord {
  provider: string;
}

export interface Dns01Options {
  providers: readonly ZonedProvider[];
  resolvers: readonly string[];
  /** The port of authoritative servers; 53 but in tests. */
  port: number;
  clock: Clock;
}

/** Milliseconds for one question to one name server. */
const TIMEOUT = 4_000;

/** dns-01 (RFC 8555 §8.4): where a name's TXT goes, and setting, seeing and removing it. */
export class Dns01 {
  readonly #providers: readonly ZonedProvider[];
  readonly #lookup: Lookup;
  readonly #propagation: Propagation;

  constructor({ providers, resolvers, port, clock }: Dns01Options) {
    this.#providers = providers;
    this.#lookup = new Lookup({ resolvers, timeout: TIMEOUT });
    this.#propagation = new Propagation(this.#lookup, { port, timeout: TIMEOUT }, clock);
  }

  /**
   * Where the TXT for a domain has to stand, a wildcard's being its base's. Throws `dns_provider_missing` and
   * `dns_delegation` (attention), `resolver_failed` (unavailable).
   */
  async place(domain: string): Promise<DnsPlace> {
    const base = domain.replace(/^\*\./, "");
    const asked = challengeName(base);
    const name = await followCname(asked, this.#lookup);
    const provider = providerFor(this.#providers, name);
    if (provider === undefined) throw this.#missing(domain, asked, name);
    return { provider: provider.name, name, zone: provider.zone ?? (await this.#lookup.zoneOf(name)) };
  }

  async present(answer: DnsAnswer): Promise<void> {
    await this.#named(answer).driver.present(answer);
  }

  async cleanUp(answer: DnsAnswer): Promise<void> {
    await this.#named(answer).driver.cleanUp(answer);
  }

  /** One look at every authoritative server: a sentence for each that has not got one of them; none if all have. */
  async missing(answers: readonly DnsAnswer[]): Promise<string[]> {
    const found = await Promise.all(
      answers.map((answer) => this.#propagation.missing(answer, this.#named(answer).servers)),
    );
    return [...new Set(found.flat())];
  }

  #named({ provider: wanted, name }: DnsAnswer): ZonedProvider {
    const provider = this.#providers.find(({ name: own }) => own === wanted);
    if (provider) return provider;
    throw new AppError(
      `The DNS provider "${wanted}", which set the TXT of ${name}, is not in the configuration any more: put it back, or remove that record by hand.`,
      { code: "dns_provider_gone", disposition: "attention", identifier: name },
    );
  }

  #missing(domain: string, asked: string, name: string): AppError {
    const zones = this.#providers.flatMap((provider) => provider.zones);
    const leads = asked === name ? "" : `, where the CNAME of ${asked} leads`;
    const configured =
      zones.length === 0 ? "none is" : `those configured are for ${zones.slice(0, 5).join(", ")}`;
    return new AppError(
      `${domain} needs a DNS provider for ${name}${leads}; ${configured}${zones.length > 5 ? " and more" : ""}. Add one to dns.providers in the configuration, or let ${asked} be a CNAME to a name in a zone that has one.`,
      { code: "dns_provider_missing", disposition: "attention", identifier: domain },
    );
  }
}

/** The one with the longest zone that the name is, or stands below. */
export function providerFor<P extends { zones: readonly string[] }>(
  providers: readonly P[],
  name: string,
): P | undefined {
  let best: { provider: P; length: number } | undefined;
  for (const provider of providers)
    for (const zone of provider.zones) {
      const fits = name === zone || name.endsWith(`.${zone}`);
      if (fits && zone.length > (best?.length ?? -1)) best = { provider, length: zone.length };
    }
  return best?.provider;
}
