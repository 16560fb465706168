import type { Redis } from "ioredis";
import { keys } from "./keys.ts";
import { execAll } from "./script.ts";

export type Role = "issue" | "deploy" | "notify" | "respond" | "renew" | "api";

/** Milliseconds between two heartbeats, and after how long a silent process counts as gone. */
const BEAT = 3_000;
const GONE = 10_000;

/** Which processes work on this Redis, whatever host they are on. */
export class Alive {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async roles(now: number): Promise<Set<Role>> {
    await this.#redis.zremrangebyscore(keys.alive, "-inf", String(now - GONE));
    const members = await this.#redis.zrange(keys.alive, "0", "-1");
    return new Set(members.map((member) => member.split(":")[0] as Role));
  }

  /** What runs where, in the order of roles; `at` is its last sign of life, milliseconds since the epoch. */
  async processes(now: number): Promise<{ role: Role; node: string; pid: number; at: number }[]> {
    const beats = await this.#redis.zrangebyscore(keys.alive, now - GONE, "+inf", "WITHSCORES");
    const found: { role: Role; node: string; pid: number; at: number }[] = [];
    for (let i = 0; i < beats.length; i += 2) {
      // A node's name may hold colons.
      const [, role, node = "", pid] = /^(\w+):(.*):(\d+)$/.exec(beats[i] ?? "") ?? [];
      if (role) found.push({ role: role as Role, node, pid: Number(pid), at: Number(beats[i + 1]) });
    }
    return found.sort(
      (a, b) => a.role.localeCompare(b.role) || a.node.localeCompare(b.node) || a.pid - b.pid,
    );
  }

  /** Beats until the returned function is called, for those of the roles that do their work now. */
  async beat(
    roles: readonly Role[],
    name: string,
    works: (role: Role) => boolean = () => true,
  ): Promise<() => Promise<void>> {
    const members = roles.map((role) => `${role}:${name}`);
    const once = async (): Promise<void> => {
      const now = Date.now();
      const pipeline = this.#redis.pipeline();
      for (const role of roles)
        if (works(role)) pipeline.zadd(keys.alive, now, `${role}:${name}`);
        else pipeline.zrem(keys.alive, `${role}:${name}`);
      await execAll(pipeline);
    };
    await once();
    const timer = setInterval(() => once().catch(() => undefined), BEAT);
    return async () => {
      clearInterval(timer);
      if (this.#redis.status === "ready") await this.#redis.zrem(keys.alive, ...members).catch(() => 0);
    };
  }
}
