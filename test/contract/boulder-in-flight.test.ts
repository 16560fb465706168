/**
 * The ledger beside Boulder's own limits, with up to twenty orders in flight that end in any order: it never asks for
 * what Boulder would refuse, and never has more certificates issued than Boulder's limits say.
 */
import { expect, it } from "vitest";
import type { Exemption } from "../../src/limits/buckets.ts";
import type { Redis } from "../../src/store/redis.ts";
import { isLong } from "../support/long.ts";
import { DAY, heldKeys, type NameSet, openWorlds, type World } from "../support/orders-at-random.ts";
import { withRedis } from "../support/with-redis.ts";

const OPERATIONS = isLong ? 100_000 : 25_000;
const IN_FLIGHT = 20;
/** Lives in parallel, so that Redis has something to do while an answer is on its way. */
const SEEDS = [2_000, 3_000];

interface Flight {
  holder: string;
  set: NameSet;
  exemption: Exemption;
  state: "admitted" | "unanswered" | "ordered" | "issued";
  /** Boulder gives up an order that is a week old; a renewal has to be one still when it is issued. */
  until: number;
}

let redis: Redis;

withRedis((client) => {
  redis = client;
});

class Life {
  readonly seen: Record<string, number> = {};
  readonly world: World;
  #flights: Flight[] = [];

  constructor(world: World) {
    this.world = world;
  }

  async operation(): Promise<void> {
    const { random } = this.world;
    const chance = random.below(6);
    if (chance < 1) await this.#step();
    else if (chance < 3 && this.#flights.length < IN_FLIGHT) await this.#ask();
    else if (this.#flights.length > 0) await this.#advance(random.of(this.#flights));
  }

  async finish(): Promise<void> {
    while (this.#flights[0]) await this.#advance(this.#flights[0]);
  }

  async #step(): Promise<void> {
    const { world } = this;
    const then = world.now + world.someStep();
    for (const flight of this.#flights.filter(({ until }) => until <= then)) {
      // What was asked for and not answered counts, although it is given up.
      await world.ledger.release(flight.holder);
      this.#end(flight);
    }
    world.now = then;
  }

  async #ask(): Promise<void> {
    const { world } = this;
    const set = world.someSet();
    if (world.isNeitherNewNorOld(set)) return;
    const holder = world.nextHolder();
    const exemption = world.exemptionOf(set);
    const { kind } = await world.ask(set, holder, exemption);
    this.#count(kind);
    if (kind !== "ok") return;
    const until = world.now + (exemption === "none" ? 7 : 0.8) * DAY;
    this.#flights.push({ holder, set, exemption, state: "admitted", until });
  }

  async #advance(flight: Flight): Promise<void> {
    const { ledger, random } = this.world;
    switch (flight.state) {
      case "admitted":
        if (!random.oneIn(10)) return await this.#send(flight);
        await ledger.release(flight.holder);
        return this.#end(flight);
      case "unanswered":
        if (random.oneIn(10)) return await this.#askAgain(flight);
        await ledger.ordered(flight.holder);
        flight.state = "ordered";
        return;
      case "ordered":
        if (!random.oneIn(3)) return await this.#issue(flight);
        await ledger.release(flight.holder);
        return this.#end(flight);
      case "issued":
        await (random.oneIn(5) ? ledger.release(flight.holder) : ledger.issued(flight.holder));
        return this.#end(flight);
    }
  }

  /** Its request has arrived at Boulder, or was lost before: the ledger counts it in any case. */
  async #send(flight: Flight): Promise<void> {
    const { world } = this;
    await world.ledger.sending(flight.holder);
    if (!world.random.oneIn(20)) {
      const verdict = world.boulder.newOrder({ account: world.account, names: flight.set.names }, world.now);
      expect(verdict, `${JSON.stringify(flight)} at ${world.now}`).toMatchObject({ allowed: true });
      this.#count("sent");
    }
    flight.state = "unanswered";
  }

  /** The answer was lost, and the order with it: a new one is made, if there is a token for it. */
  async #askAgain(flight: Flight): Promise<void> {
    await this.world.ledger.lost(flight.holder);
    const { kind } = await this.world.ask(flight.set, flight.holder, flight.exemption);
    this.#count(`again: ${kind}`);
    if (kind === "ok") {
      flight.state = "admitted";
      return;
    }
    await this.world.ledger.release(flight.holder);
    this.#end(flight);
  }

  async #issue(flight: Flight): Promise<void> {
    const { world } = this;
    await world.ledger.finalizing(flight.holder);
    expect(world.mayIssue(flight.set), `${JSON.stringify(flight)} at ${world.now}`).toBe(true);
    world.boulder.issued(flight.set.names, world.now);
    flight.set.issuedAt = world.now;
    flight.state = "issued";
    this.#count("issued");
  }

  #end(flight: Flight): void {
    this.#flights = this.#flights.filter((other) => other !== flight);
  }

  #count(what: string): void {
    this.seen[what] = (this.seen[what] ?? 0) + 1;
  }
}

it("orders in flight, twenty at once: Boulder never refuses one, and never issues one too many: many thousand steps at random", async () => {
  const worlds = await Promise.all(SEEDS.map((seed) => openWorlds(redis, seed)));
  const lives = worlds.flat().map((world) => new Life(world));
  await Promise.all(
    lives.map(async (life) => {
      for (let i = 0; i < OPERATIONS / lives.length; i++) await life.operation();
      await life.finish();
    }),
  );
  expect(await heldKeys(redis)).toEqual([]);
  const total = (what: string) => lives.reduce((sum, { seen }) => sum + (seen[what] ?? 0), 0);
  for (const what of ["ok", "room", "orders", "sent", "issued", "again: ok", "again: orders"])
    expect(total(what), what).toBeGreaterThan(OPERATIONS / 1_000);
});
