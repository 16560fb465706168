/**
 * The ledger beside Boulder's own limits (test/support/boulder-limits.ts), through orders at random. One after the
 * other they give the same answer, to the millisecond. With orders in flight the ledger never asks for what Boulder
 * would refuse.
 */
import { describe, expect, it } from "vitest";
import type { Exemption } from "../../src/limits/buckets.ts";
import type { Admission } from "../../src/limits/ledger.ts";
import type { Redis } from "../../src/store/redis.ts";
import { heldKeys, type NameSet, openWorlds, type World } from "../support/orders-at-random.ts";
import { withRedis } from "../support/with-redis.ts";

const HOUR = 3_600_000;

let redis: Redis;

withRedis((client) => {
  redis = client;
});

describe("orders one after the other", () => {
  const OPERATIONS = 100_000;
  /** Questions on their way to Redis at once: the answer is known before it comes. */
  const AT_ONCE = 500;

  /** What the ledger has to say: a room before the account, and of several rooms the one that lasts longest. */
  function expected(world: World, set: NameSet, exemption: Exemption): { kind: string; wait: number } {
    const waits = world.waits(set, exemption);
    const longest = (of: typeof waits) => Math.max(0, ...of.map(({ wait }) => wait));
    const room = longest(waits.filter(({ limit }) => limit !== "newOrders"));
    if (room > 0) return { kind: "room", wait: room };
    const orders = longest(waits);
    return orders > 0 ? { kind: "orders", wait: orders } : { kind: "ok", wait: 0 };
  }

  function shown(answer: Admission): { kind: string; wait: number } {
    return { kind: answer.kind, wait: "wait" in answer ? answer.wait : 0 };
  }

  class Run {
    readonly seen: Record<string, number> = {};
    readonly world: World;
    #open: Promise<void>[] = [];
    /** The last one that was refused, and until when. */
    #refused: { set: NameSet; until: number } | undefined;

    constructor(world: World) {
      this.world = world;
    }

    async operation(): Promise<void> {
      const { world } = this;
      if (world.random.oneIn(3)) this.#step();
      else this.#order(this.#again() ?? world.someSet());
      if (this.#open.length >= AT_ONCE) await this.finish();
    }

    async finish(): Promise<void> {
      await Promise.all(this.#open);
      this.#open = [];
    }

    /** Those whose wait is over now, or in a millisecond, ask again. */
    #again(): NameSet | undefined {
      const left = this.#refused ? this.#refused.until - this.world.now : -1;
      return left === 0 || left === 1 ? this.#refused?.set : undefined;
    }

    /** At random, or to the very millisecond at which a refusal ends, or to the one before it. */
    #step(): void {
      const { world } = this;
      const ends = this.#refused ? this.#refused.until - world.now : 0;
      // Seldom if that is long: it would fill the other buckets.
      const exact = ends > 0 && world.random.oneIn(ends < HOUR ? 3 : 100);
      if (!exact) world.now += world.someStep();
      else if (ends > 1 && world.random.oneIn(2)) world.now += ends - 1;
      else world.now += ends;
    }

    #order(set: NameSet): void {
      const { world } = this;
      if (world.isNeitherNewNorOld(set)) return;
      const holder = world.nextHolder();
      const exemption = world.exemptionOf(set);
      const answer = expected(world, set, exemption);
      const waits = world.waits(set, exemption);
      const asked = world.now;
      const verdict = world.boulder.newOrder({ account: world.account, names: set.names }, asked);
      if (set.issuedAt > 0 && exemption === "none") this.#count("too old to be a renewal");
      if (answer.wait === 1) this.#count("a millisecond too early");
      this.#count(exemption === "none" ? answer.kind : `${answer.kind} ${exemption}`);
      this.#open.push(
        world.ask(set, holder, exemption).then((admission) => {
          const where = `${holder} ${JSON.stringify(set)} at ${asked}`;
          expect(shown(admission), where).toEqual(answer);
          expect(admission.kind === "ok", where).toBe(verdict.allowed);
          if (admission.kind !== "room") return;
          const { limit, subject, wait } = admission;
          expect(waits, where).toContainEqual({ limit, subject, wait });
        }),
      );
      if (!verdict.allowed) {
        const { refusal } = verdict;
        const all = Math.max(...waits.map(({ wait }) => wait));
        expect(refusal.limit === "paused" ? 0 : refusal.retryIn).toBe(all);
        this.#refused = { set, until: asked + answer.wait };
        return;
      }
      this.#end(set, holder);
    }

    /** Issued, or failed, or never sent; at once, or after a while in which nobody asks. */
    #end(set: NameSet, holder: string): void {
      const { world } = this;
      const { ledger, boulder, random } = world;
      if (random.oneIn(12)) {
        this.#open.push(ledger.release(holder));
        if (world.exemptionOf(set) === "none") boulder.refundNewOrder(world.account, world.now);
        return;
      }
      this.#open.push(ledger.ordered(holder));
      if (random.oneIn(4)) world.now += random.below(2_000);
      if (random.oneIn(3)) this.#open.push(ledger.release(holder));
      else {
        boulder.issued(set.names, world.now);
        set.issuedAt = world.now;
        this.#open.push(ledger.issued(holder));
      }
    }

    #count(what: string): void {
      this.seen[what] = (this.seen[what] ?? 0) + 1;
    }
  }

  it("are let through when Boulder would, and wait to the millisecond as long as it says: 100,000 at random", async () => {
    const runs = (await openWorlds(redis, 1_000)).map((world) => new Run(world));
    for (let i = 0; i < OPERATIONS; i += runs.length) for (const run of runs) await run.operation();
    for (const run of runs) await run.finish();
    expect(await heldKeys(redis)).toEqual([]);
    const old = runs.map(({ seen }) => seen["too old to be a renewal"] ?? 0);
    expect(Math.max(...old)).toBeGreaterThan(10);
    // Each kind of answer was given often enough to mean something.
    for (const { seen, world } of runs) {
      const orders = world.boulder.buckets("newOrders") ? ["orders"] : [];
      for (const kind of ["ok", "room", "ok renewal", "room renewal", "a millisecond too early", ...orders])
        expect(seen[kind] ?? 0, `${kind} of ${world.account}`).toBeGreaterThan(50);
    }
  });
});
