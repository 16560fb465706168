import type { Clock } from "../core/clock.ts";
import { Cache, Gate } from "../core/flow.ts";
import { NoAnswer, type Server, shownServer } from "./exchange.ts";
import type { Lookup } from "./lookup.ts";
import type { TxtRecord } from "./provider.ts";
import { query, refusal, txtValues } from "./query.ts";

export interface AuthoritativeServer extends Server {
  /** Its name in the NS record, or its address where it was configured. */
  host: string;
}

export interface PropagationOptions {
  /** The port at which authoritative servers answer: 53, but in tests. */
  port: number;
  /** Milliseconds for one question to one of them. */
  timeout: number;
}

/** Questions under way at once, over all certificates of this process. */
const AT_ONCE = 64;
/** Of the servers of a zone. */
const CACHE = { lifetime: 60_000, failureLifetime: 5_000, most: 5_000 };

/** Looks whether every authoritative server of a zone answers with what was set. */
export class Propagation {
  readonly #lookup: Lookup;
  readonly #options: PropagationOptions;
  readonly #gate = new Gate(AT_ONCE);
  readonly #servers: Cache<AuthoritativeServer[]>;

  constructor(lookup: Lookup, options: PropagationOptions, clock: Clock) {
    this.#lookup = lookup;
    this.#options = options;
    this.#servers = new Cache(clock, CACHE);
  }

  /**
   * One look. A sentence for each server that has not got the record, and why; none if all have it. `given`: asked in
   * place of the servers that the zone's NS records name. Throws what the look-up throws.
   */
  async missing({ name, value, zone }: TxtRecord, given: readonly Server[] = []): Promise<string[]> {
    const servers =
      given.length > 0
        ? given.map((server) => ({ ...server, host: "" }))
        : await this.#servers.get(zone, (key) => this.#serversOf(key));
    if (servers.length === 0) return [`No name server of the zone ${zone} has an address.`];
    const found = await Promise.all(
      servers.map((server) => this.#gate.run(() => this.#ask(server, name, value))),
    );
    // A server that this host has no way to (IPv6, say) is left out, but not all of them.
    const reached = found.filter((each) => each !== "no route");
    if (reached.length === 0) return [`This host has no way to any name server of the zone ${zone}.`];
    return reached.filter((each) => each !== "there");
  }

  async #ask(
    server: AuthoritativeServer,
    name: string,
    value: string,
  ): Promise<"there" | "no route" | string> {
    const shown = server.host === "" ? shownServer(server) : `${server.host} (${shownServer(server)})`;
    try {
      const reply = await query(server, name, "TXT", { timeout: this.#options.timeout, recursion: false });
      const refused = refusal(reply);
      if (refused !== undefined) return `${shown} ${refused} for ${name}.`;
      return txtValues(reply.answers).includes(value)
        ? "there"
        : `${shown} does not have the TXT of ${name} yet.`;
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      return error.noRoute ? "no route" : `${shown} ${error.why}.`;
    }
  }

  async #serversOf(zone: string): Promise<AuthoritativeServer[]> {
    const hosts = await this.#lookup.nameServers(zone);
    const addresses = await Promise.all(hosts.map((host) => this.#lookup.addresses(host)));
    return hosts.flatMap((host, index) =>
      (addresses[index] ?? []).map((address) => ({ host, address, port: this.#options.port })),
    );
  }
}
