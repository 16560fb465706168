import type { Redis } from "ioredis";
import { keys } from "./keys.ts";

/** Milliseconds between two signs of life of a process that deploys to a node, and after how long it counts as gone. */
const BEAT = 2_000;
const GONE = 8_000;
/** Milliseconds for which is remembered who has deployed to a node. */
const REMEMBERED = 3_600_000;

/** Why nothing can be deployed to a node now. */
export interface NodeFault {
  /** Milliseconds since the epoch. */
  since: number;
  detail: string;
}

/** A node of one termination: what is wrong there need not be wrong with the same node's other ports. */
export interface Place {
  name: string;
  vipPort: number;
}

export function placeKey({ name, vipPort }: Place): string {
  return `${vipPort}/${name}`;
}

/** The nodes as a whole: who deploys to them, which cannot be reached, and when they were reloaded. */
export class Nodes {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Nodes that some process deploys to, on whatever host it is, or did so less than `patience` milliseconds ago. */
  async served(now: number, patience = 0): Promise<Set<string>> {
    const since = String(now - GONE - patience);
    return new Set(await this.#redis.zrangebyscore(keys.nodesServed, `(${since}`, "+inf"));
  }

  /** Says that this process deploys to them, until the returned function is called. */
  async serve(nodes: readonly string[]): Promise<() => Promise<void>> {
    if (nodes.length === 0) return () => Promise.resolve();
    const note = async (at: number): Promise<void> => {
      await this.#redis.zadd(keys.nodesServed, ...nodes.flatMap((node) => [at, node]));
    };
    const once = (): Promise<void> => note(Date.now());
    await once();
    await this.#redis.zremrangebyscore(keys.nodesServed, "-inf", String(Date.now() - REMEMBERED));
    const timer = setInterval(() => once().catch(() => undefined), BEAT);
    return async () => {
      clearInterval(timer);
      if (this.#redis.status === "ready") await note(Date.now() - GONE).catch(() => undefined);
    };
  }

  /** By `placeKey`. */
  async faults(places: readonly Place[]): Promise<Map<string, NodeFault>> {
    if (places.length === 0) return new Map();
    const found = await this.#redis.hmget(keys.nodeFaults, ...places.map(placeKey));
    return new Map(
      places.flatMap((place, index) => {
        const text = found[index];
        return text ? [[placeKey(place), JSON.parse(text) as NodeFault] as const] : [];
      }),
    );
  }

  /** Notes what is wrong with it. True when it was all right before: this is news. */
  async fault(place: Place, detail: string, now: number): Promise<boolean> {
    const fault: NodeFault = { since: now, detail };
    return (await this.#redis.hsetnx(keys.nodeFaults, placeKey(place), JSON.stringify(fault))) === 1;
  }

  /** True when something was wrong with it before. */
  async mended(place: Place): Promise<boolean> {
    return (await this.#redis.hdel(keys.nodeFaults, placeKey(place))) === 1;
  }

  /** So many certificates were found to be served wrongly: for the metrics. */
  async drifted(count: number): Promise<void> {
    await this.#redis.hincrby(keys.counters, "drift", count);
  }

  /** Milliseconds since the epoch; 0 when it is not known. */
  async reloadedAt(node: string): Promise<number> {
    return Number((await this.#redis.hget(keys.nodeReloads, node)) ?? 0);
  }

  async reloading(node: string, now: number): Promise<void> {
    await this.#redis.hset(keys.nodeReloads, node, now);
  }

  /** Where the round of looks at what this node serves has come to: a certificate's id, "" for the beginning. */
  async watchedTo(place: Place): Promise<string> {
    return (await this.#redis.hget(keys.watch, placeKey(place))) ?? "";
  }

  async setWatchedTo(place: Place, id: string): Promise<void> {
    await this.#redis.hset(keys.watch, placeKey(place), id);
  }

  /** True once in `ms` milliseconds: for what a person need not be told again so soon. */
  async onceIn(what: string, ms: number): Promise<boolean> {
    return (await this.#redis.set(keys.told(what), "1", "PX", ms, "NX")) === "OK";
  }
}
