import { randomInt } from "node:crypto";
import * as packet from "dns-packet";
import { exchange, NoAnswer, type Server } from "./exchange.ts";
import { rcodeOf, rcodeWord } from "./rcodes.ts";

export type QueryType = "A" | "AAAA" | "CNAME" | "NS" | "SOA" | "TXT";

export interface Reply {
  rcode: number;
  answers: readonly packet.Answer[];
  authorities: readonly packet.Answer[];
}

/** RFC 9715 §3.1: fits any path without fragments. */
const UDP_SIZE = 1232;

export interface QueryOptions {
  /** Milliseconds. */
  timeout: number;
  /** Whether the server is to ask others: a resolver is, an authoritative one is not. */
  recursion: boolean;
}

/** Asks one server one question: over UDP, and over TCP where the answer was cut off (RFC 7766 §5). Throws NoAnswer. */
export async function query(
  server: Server,
  name: string,
  type: QueryType,
  options: QueryOptions,
): Promise<Reply> {
  const message = packet.encode({
    type: "query",
    id: randomInt(0x1_0000),
    flags: options.recursion ? packet.RECURSION_DESIRED : 0,
    questions: [{ type, name }],
    additionals: [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: UDP_SIZE,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  });
  let answer = await exchange(message, server, "udp", options.timeout);
  if ((answer.readUInt16BE(2) & packet.TRUNCATED_RESPONSE) !== 0)
    answer = await exchange(message, server, "tcp", options.timeout);
  const { questions = [], answers = [], authorities = [] } = decoded(answer);
  const [asked] = questions;
  if (asked && (asked.type !== type || !sameName(asked.name, name)))
    throw new NoAnswer("answers something else");
  return { rcode: rcodeOf(answer), answers, authorities };
}

function decoded(answer: Buffer): packet.Packet {
  try {
    return packet.decode(answer);
  } catch (error) {
    throw new NoAnswer("answers what is no DNS message", { cause: error });
  }
}

/** RFC 4343: letters compare without their case. */
export function sameName(one: string, other: string): boolean {
  return plainName(one) === plainName(other);
}

export function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/** The values of an answer: the strings of one TXT joined (RFC 7208 §3.3 tells how they are read). */
export function txtValues(answers: readonly packet.Answer[]): string[] {
  return answers.flatMap((answer) => {
    if (answer.type !== "TXT") return [];
    const parts = Array.isArray(answer.data) ? answer.data : [answer.data];
    return [parts.map((part) => part.toString()).join("")];
  });
}

/** What a server says besides NOERROR and NXDOMAIN, to go on from its name; undefined for those two. */
export function refusal({ rcode }: Reply): string | undefined {
  return rcode === 0 || rcode === 3 ? undefined : `answers ${rcodeWord(rcode)}`;
}
