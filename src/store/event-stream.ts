import type { Redis } from "ioredis";
import { firstNameOf } from "../core/certificate.ts";
import { keys } from "./keys.ts";
import type { CertificateEvent } from "./record.ts";

/** Before every event. */
export const BEGINNING = "0-0";

/** What happened to one certificate, with its place in the stream of all that happens. */
export interface StreamedEvent extends Omit<CertificateEvent, "status"> {
  /** Redis's own id: milliseconds since the epoch, and a number within them. */
  id: string;
  name: string;
  /** The status that it has come to by this; missing where that has not changed. */
  status?: string;
}

type Entry = [id: string, fields: string[]];

/** The newest 10,000 events of all certificates. `redis` is blocked by `next`, and by nothing else. */
export class EventStream {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** At most `count` events after that id, oldest first. */
  async after(id: string, count: number): Promise<StreamedEvent[]> {
    const entries = await this.#redis.xrange(keys.events("all"), `(${id}`, "+", "COUNT", count);
    return (entries as Entry[]).map(eventOf);
  }

  /** The same, but waits up to `block` milliseconds for the first one. For a connection of its own. */
  async next(id: string, count: number, block: number): Promise<StreamedEvent[]> {
    const found = await this.#redis.xread("COUNT", count, "BLOCK", block, "STREAMS", keys.events("all"), id);
    const [stream] = (found ?? []) as [string, Entry[]][];
    return (stream?.[1] ?? []).map(eventOf);
  }

  async oldest(): Promise<string | undefined> {
    const [entry] = (await this.#redis.xrange(keys.events("all"), "-", "+", "COUNT", 1)) as Entry[];
    return entry?.[0];
  }

  async newest(): Promise<string> {
    const [entry] = (await this.#redis.xrevrange(keys.events("all"), "+", "-", "COUNT", 1)) as Entry[];
    return entry?.[0] ?? BEGINNING;
  }

  /** The event after which the newest `count` come. */
  async before(count: number): Promise<string> {
    const entries = await this.#redis.xrevrange(keys.events("all"), "+", "-", "COUNT", count + 1);
    return (entries as Entry[])[count]?.[0] ?? BEGINNING;
  }
}

/** Below 0 where `a` comes before `b`. */
export function compareIds(a: string, b: string): number {
  const [first, second] = [a, b].map((id) => id.split("-").map(BigInt));
  for (const part of [0, 1]) {
    const [left = 0n, right = 0n] = [first?.[part], second?.[part]];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/** One word for what happened: that a person is needed counts more than how it came to that. */
export function kindOf({ what, status }: Pick<StreamedEvent, "what" | "status">): string {
  return status === "attention" ? "attention" : what.replaceAll(" ", "_");
}

function eventOf([id, fields]: Entry): StreamedEvent {
  const field = (name: string): string => {
    const at = fields.indexOf(name);
    return at % 2 === 0 ? (fields[at + 1] ?? "") : "";
  };
  const { at, what, detail } = JSON.parse(field("event")) as CertificateEvent;
  const status = field("status");
  return {
    id,
    at,
    name: firstNameOf(field("id")),
    what,
    ...(detail === undefined ? {} : { detail }),
    ...(status === "" ? {} : { status }),
  };
}
