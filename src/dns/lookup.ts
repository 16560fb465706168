import { getServers } from "node:dns";
import { isIP } from "node:net";
import { AppError } from "../core/errors.ts";
import { NoAnswer, type Server, shownServer } from "./exchange.ts";
import { plainName, type QueryType, query, type Reply, refusal, sameName } from "./query.ts";

export interface LookupOptions {
  /** `address:port` of resolvers; the system's where empty. */
  resolvers: readonly string[];
  /** Milliseconds for one question to one of them. */
  timeout: number;
}

/**
 * What resolvers tell of a name. Every method throws `resolver_failed` (unavailable) where none of them can tell, which
 * says nothing about the name.
 */
export class Lookup {
  readonly #options: LookupOptions;

  constructor(options: LookupOptions) {
    this.#options = options;
  }

  /** Where a name is a CNAME to; undefined if it is none. */
  async cname(name: string): Promise<string | undefined> {
    const { answers } = await this.#ask(name, "CNAME");
    for (const answer of answers)
      if (answer.type === "CNAME" && sameName(answer.name, name)) return plainName(answer.data);
    return undefined;
  }

  /** The zone that a name stands in: the owner of the SOA that comes with the answer (RFC 2308 §2). */
  async zoneOf(name: string): Promise<string> {
    const { answers, authorities } = await this.#ask(name, "SOA");
    for (const { type, name: owner } of [...answers, ...authorities]) {
      const zone = plainName(owner);
      if (type === "SOA" && (zone === name || name.endsWith(`.${zone}`))) return zone;
    }
    throw failed(`The resolvers do not tell in which zone ${name} is: no SOA record came back.`);
  }

  /** The name servers of a zone (its NS records). */
  async nameServers(zone: string): Promise<string[]> {
    const { answers } = await this.#ask(zone, "NS");
    return answers.flatMap((answer) => (answer.type === "NS" ? [plainName(answer.data)] : []));
  }

  /** The addresses of a host, IPv4 first. */
  async addresses(host: string): Promise<string[]> {
    const replies = await Promise.all([this.#ask(host, "A"), this.#ask(host, "AAAA")]);
    return replies.flatMap(({ answers }) =>
      answers.flatMap((answer) => (answer.type === "A" || answer.type === "AAAA" ? [answer.data] : [])),
    );
  }

  async #ask(name: string, type: QueryType): Promise<Reply> {
    const { resolvers, timeout } = this.#options;
    const faults: string[] = [];
    for (const server of (resolvers.length > 0 ? resolvers : getServers()).map(parseServer)) {
      try {
        const reply = await query(server, name, type, { timeout, recursion: true });
        const refused = refusal(reply);
        if (refused === undefined) return reply;
        faults.push(`${shownServer(server)} ${refused}`);
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        faults.push(`${shownServer(server)} ${error.why}`);
      }
    }
    throw failed(`No resolver answers for ${name} ${type}: ${faults.join(", ") || "none is configured"}.`);
  }
}

function failed(message: string): AppError {
  return new AppError(`${message} That says nothing about the name; it is asked again.`, {
    code: "resolver_failed",
    disposition: "unavailable",
  });
}

/** `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[2001:db8::53]:5353`. */
export function parseServer(text: string): Server {
  if (isIP(text) !== 0) return { address: text, port: 53 };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  return { address: match?.[1] ?? match?.[2] ?? text, port: Number(match?.[3] ?? 53) };
}
