import { keys } from "./keys.ts";
import type { Redis } from "./redis.ts";
import { execAll } from "./script.ts";

/** What is counted of the whole installation, and what each count is told apart by. */
export const TALLIES = {
  orders: ["account"],
  issued: ["account"],
  validations: ["account", "result"],
  failures: ["account", "stage", "code"],
  requests: ["account", "kind", "code"],
  limited: ["account", "limit"],
  polls: ["account", "result"],
} as const;
export type TallyName = keyof typeof TALLIES;

/** Milliseconds for which counts are gathered. */
const GATHER = 1_000;

/** The field of one count. Names of accounts come from the configuration, and may hold anything. */
export function tallyField(name: TallyName, ...labels: string[]): string {
  return [name, ...labels.map((label) => label.replaceAll("|", "_"))].join("|");
}

/**
 * Counts that no script of Redis's makes beside its work: gathered here and added to the common ones once a second, so
 * that no request to a CA takes a round trip more. Who is killed loses its last second; who loses its connection
 * while it adds may add that second twice.
 */
export class Tally {
  readonly #redis: Redis;
  #counts = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  add(name: TallyName, ...labels: string[]): void {
    this.#count(tallyField(name, ...labels), 1);
  }

  /** What is left is added now. Never fails: a count is not worth that. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#redis.status === "ready") await this.#flush();
    clearTimeout(this.#timer);
  }

  #count(field: string, by: number): void {
    this.#counts.set(field, (this.#counts.get(field) ?? 0) + by);
    this.#timer ??= setTimeout(() => void this.#flush(), GATHER).unref();
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    const counts = this.#counts;
    this.#counts = new Map();
    if (counts.size === 0) return;
    const adding = this.#redis.multi();
    for (const [field, by] of counts) adding.hincrby(keys.tally, field, by);
    try {
      await execAll(adding);
    } catch {
      for (const [field, by] of counts) this.#count(field, by);
    }
  }
}

export interface Count {
  labels: string[];
  count: number;
}

function isKnown(name: string | undefined): name is TallyName {
  return name !== undefined && name in TALLIES;
}

/** All counts there are, by what is counted. */
export async function readTallies(redis: Redis): Promise<Map<TallyName, Count[]>> {
  const counts = new Map<TallyName, Count[]>();
  for (const [field, count] of Object.entries(await redis.hgetall(keys.tally))) {
    const [name, ...labels] = field.split("|");
    if (!isKnown(name)) continue;
    counts.set(name, [...(counts.get(name) ?? []), { labels, count: Number(count) }]);
  }
  return counts;
}
