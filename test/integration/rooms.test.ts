/**
 * Waiting rooms at the size they are made for: thousands of certificates under one registered domain. The ledger goes
 * by the test's clock; a room is asked whenever a certificate of it might be called.
 */
import { describe, expect, it } from "vitest";
import { holderOf } from "../../src/core/certificate.ts";
import { type Admission, Ledger } from "../../src/limits/ledger.ts";
import { type Called, WaitingRooms } from "../../src/limits/rooms.ts";
import type { CaLimits } from "../../src/limits/table.ts";
import { CertificateStore } from "../../src/store/certificates.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { makeLimits } from "../support/limits.ts";
import { makeSpec } from "../support/specs.ts";
import { waitUntil } from "../support/temp.ts";
import { withRedis } from "../support/with-redis.ts";

const DAY = 86_400_000;
const ROOM = keys.room("certificatesPerDomain", "inhouse", "big.example");

let redis: Redis;
let certificates: CertificateStore;

withRedis((client) => {
  redis = client;
  certificates = new CertificateStore(redis);
});

function open(count: number, period: number, more: Partial<CaLimits["certificates"]> = {}) {
  const limits = makeLimits({ certificates: { certificatesPerDomain: { count, period }, ...more } });
  const ledger = new Ledger(redis, "inhouse", limits);
  const rooms = new WaitingRooms(redis, "inhouse", limits);
  return { ledger, rooms };
}

async function accept(ids: readonly string[]): Promise<void> {
  await certificates.accept(
    ids.map((id) => makeSpec(id)),
    { now: Date.now() },
  );
}

async function admit(
  ledger: Ledger,
  id: string,
  { priority = 50, names = [id], generation = 1 } = {},
): Promise<Admission> {
  const holder = holderOf({ id, generation });
  return await ledger.admit({ id, generation, names, priority, holder, exemption: "none" });
}

const idsOf = (called: readonly Called[]) => called.map(({ holder }) => holder.replace(/#\d+$/, ""));
const named = (count: number, prefix = "n", domain = "big.example") =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}.${domain}`);

/** Those in the room, in their order. */
async function standing(room = ROOM): Promise<string[]> {
  return (await redis.zrange(room, "0", "-1")).map((holder) => holder.replace(/#\d+$/, ""));
}

/** The next look at the room is due, whenever it was to be. */
async function lookNow(): Promise<void> {
  await redis.zadd(keys.rooms("inhouse"), "XX", 0, "certificatesPerDomain:inhouse:big.example");
}

describe("5,000 certificates under one registered domain, with one token every 2 ms", () => {
  const COUNT = 5_000;
  const BURST = 50;
  const EMISSION = 2;

  it("go in the order of priority and arrival, each called about once, and none before its token", async () => {
    const { ledger, rooms } = open(BURST, BURST * EMISSION);
    const ids = named(COUNT);
    await accept(ids);
    const priorityOf = new Map(ids.map((id, i) => [id, [50, 1, 90, 50, 10][i % 5] ?? 50]));
    // A CA that has none for a while, so that all stand in the room before the first goes.
    await ledger.exhausted("certificatesPerDomain", "big.example", 30_000);
    const ask = (id: string) => admit(ledger, id, { priority: priorityOf.get(id) ?? 50 });
    const first = await Promise.all(ids.map(ask));
    expect(new Set(first.map(({ kind }) => kind))).toEqual(new Set(["room"]));
    const expected = ids
      .map((id, i) => ({ id, i, priority: priorityOf.get(id) ?? 0 }))
      .sort((a, b) => a.priority - b.priority || a.i - b.i)
      .map(({ id }) => id);
    expect(await standing()).toEqual(expected);
    expect(await rooms.due()).toEqual([]);

    await redis.del(keys.bucket("certificatesPerDomain", "inhouse", "big.example"));
    await redis.zadd(keys.rooms("inhouse"), 0, "certificatesPerDomain:inhouse:big.example");
    const begun = Date.now();
    const gone: string[] = [];
    let calls = 0;
    let waits = 0;
    while (gone.length < COUNT) {
      const called = idsOf(await rooms.due());
      calls += called.length;
      for (const id of called) {
        const answer = await ask(id);
        if (answer.kind !== "ok") continue;
        gone.push(id);
        await ledger.issued(holderOf({ id, generation: 1 }));
      }
      if (called.length === 0) waits++;
      // Never more than the bucket has had.
      expect(gone.length).toBeLessThanOrEqual(BURST + (Date.now() - begun) / EMISSION + 1);
      if (called.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(gone).toEqual(expected);
    expect(calls).toBeLessThan(COUNT * 1.01);
    expect(waits).toBeGreaterThan(0);
    // Nobody slept through many tokens: as fast as they come, with time for a slow machine.
    expect(Date.now() - begun).toBeLessThan(5 * COUNT * EMISSION);
    expect(await redis.exists(ROOM)).toBe(0);
    expect(await rooms.due()).toEqual([]);
  }, 180_000);
});

describe("a waiting room", () => {
  /** Full from the start, and with no token within this test. */
  async function full(
    count: number,
  ): Promise<ReturnType<typeof open> & { ids: string[]; holders: string[] }> {
    const opened = open(3, 3 * DAY);
    const holders = named(3, "holder");
    const ids = named(count);
    await accept([...holders, ...ids]);
    for (const id of holders) expect((await admit(opened.ledger, id)).kind).toBe("ok");
    for (const id of ids) expect((await admit(opened.ledger, id)).kind).toBe("room");
    return { ...opened, ids, holders: holders.map((id) => holderOf({ id, generation: 1 })) };
  }

  it("calls nobody while there is no token", async () => {
    const { rooms } = await full(5);
    for (let i = 0; i < 3; i++) expect(await rooms.due()).toEqual([]);
  });

  it("calls at once as many as have a token given back, in their order", async () => {
    const { ledger, rooms, ids, holders } = await full(5);
    await rooms.due();
    for (const holder of holders.slice(0, 2)) await ledger.release(holder);
    expect(idsOf(await rooms.due())).toEqual(ids.slice(0, 2));
  });

  it("is woken by nothing when a token is spent", async () => {
    const { ledger, rooms, holders } = await full(5);
    for (const holder of holders) await ledger.issued(holder);
    expect(await rooms.due()).toEqual([]);
  });

  it("lets go whom it has called, and calls the next with the next token", async () => {
    const { ledger, rooms, ids, holders } = await full(3);
    await ledger.release(holders[0] ?? "");
    expect(idsOf(await rooms.due())).toEqual(ids.slice(0, 1));
    expect((await admit(ledger, ids[0] ?? "")).kind).toBe("ok");
    expect(await standing()).toEqual(ids.slice(1));
    expect(await rooms.due()).toEqual([]);
    await ledger.release(holders[1] ?? "");
    expect(idsOf(await rooms.due())).toEqual(ids.slice(1, 2));
  });

  it("keeps whom it has called until it is admitted, and calls it again when the call was lost", async () => {
    const { ledger, rooms, ids, holders } = await full(2);
    for (const holder of holders) await ledger.release(holder);
    const called = await rooms.due();
    expect(idsOf(called)).toEqual(ids);
    expect(await standing()).toEqual(ids);
    expect(await rooms.due()).toEqual([]);
    const look = Number(
      await redis.zscore(keys.rooms("inhouse"), "certificatesPerDomain:inhouse:big.example"),
    );
    expect(look).toBeGreaterThan(Date.now());
    expect(look).toBeLessThan(Date.now() + 31_000);
    await lookNow();
    expect(idsOf(await rooms.due())).toEqual(ids);
  });

  it("is the same for another process that looks at it, as after a restart", async () => {
    const { ledger, ids, holders } = await full(3);
    await ledger.release(holders[0] ?? "");
    const other = open(3, 3 * DAY);
    expect(idsOf(await other.rooms.due())).toEqual(ids.slice(0, 1));
    expect((await admit(other.ledger, ids[0] ?? "")).kind).toBe("ok");
  });

  it("does not let anybody pass who comes by without being called", async () => {
    const { ledger, rooms, ids, holders } = await full(3);
    await ledger.release(holders[0] ?? "");
    await accept(["late.big.example"]);
    expect(await admit(ledger, "late.big.example")).toMatchObject({ kind: "room", ahead: 3 });
    expect(await admit(ledger, ids[1] ?? "")).toMatchObject({ kind: "room", ahead: 1 });
    expect(idsOf(await rooms.due())).toEqual(ids.slice(0, 1));
    expect((await admit(ledger, ids[0] ?? "")).kind).toBe("ok");
  });

  it("has an urgent newcomer before those that wait, and behind those that are as urgent", async () => {
    const { ledger, rooms, ids, holders } = await full(3);
    await accept(["urgent.big.example", "too.big.example"]);
    expect(await admit(ledger, "urgent.big.example", { priority: 1 })).toMatchObject({ ahead: 0 });
    expect(await admit(ledger, "too.big.example", { priority: 1 })).toMatchObject({ ahead: 1 });
    for (const holder of holders) await ledger.release(holder);
    expect(idsOf(await rooms.due())).toEqual(["urgent.big.example", "too.big.example", ids[0]]);
  });

  it("gives an urgent newcomer the token at once when there is one, though others have been called for it", async () => {
    const { ledger, rooms, ids, holders } = await full(2);
    await ledger.release(holders[0] ?? "");
    expect(idsOf(await rooms.due())).toEqual(ids.slice(0, 1));
    await accept(["urgent.big.example"]);
    expect((await admit(ledger, "urgent.big.example", { priority: 1 })).kind).toBe("ok");
    expect(await admit(ledger, ids[0] ?? "")).toMatchObject({ kind: "room", ahead: 0 });
    expect(await standing()).toEqual(ids);
  });

  it("has no place any more for one that is removed, paused, or asked for anew", async () => {
    const { ledger, rooms, ids, holders } = await full(4);
    const [removed = "", paused = "", anew = "", last = ""] = ids;
    await certificates.transition(removed, 1, { status: "removed" }, Date.now());
    await certificates.transition(paused, 1, { status: "paused" }, Date.now());
    await certificates.accept([makeSpec(anew)], { now: Date.now(), force: true });
    expect(await standing()).toEqual([last]);
    await ledger.release(holders[0] ?? "");
    expect(idsOf(await rooms.due())).toEqual([last]);
    expect(await admit(ledger, anew, { generation: 2 })).toMatchObject({ kind: "room", ahead: 1 });
  });

  it("forgets those that have no job any more, and calls the next", async () => {
    const { ledger, rooms, ids, holders } = await full(3);
    await ledger.release(holders[0] ?? "");
    const called = await rooms.due();
    await rooms.forget(called);
    await rooms.soon(called);
    let next: string[] = [];
    await waitUntil(async () => {
      next = idsOf(await rooms.due());
      return next.length > 0;
    });
    expect(next).toEqual(ids.slice(1, 2));
  });

  it("takes an answer for no call as it comes: nothing to forget, nothing to look at", async () => {
    const { rooms } = open(1, DAY);
    await rooms.forget([]);
    await rooms.soon([]);
    expect(await rooms.due()).toEqual([]);
    expect(await redis.dbsize()).toBe(0);
  });

  it("of more than a round calls, calls the rest with the next round", async () => {
    const { ledger, rooms } = open(250, 250 * DAY);
    const ids = named(250);
    await accept(ids);
    await ledger.exhausted("certificatesPerDomain", "big.example", DAY);
    await Promise.all(ids.map((id) => admit(ledger, id)));
    await redis.del(keys.bucket("certificatesPerDomain", "inhouse", "big.example"));
    await redis.zadd(keys.rooms("inhouse"), 0, "certificatesPerDomain:inhouse:big.example");
    const rounds: string[][] = [];
    for (let i = 0; i < 4; i++) {
      rounds.push(idsOf(await rooms.due()));
      // The next round is a second later.
      await lookNow();
      for (const id of rounds[i] ?? []) expect((await admit(ledger, id)).kind).toBe("ok");
    }
    expect(rounds.map(({ length }) => length)).toEqual([100, 100, 50, 0]);
    expect(rounds.flat()).toEqual(ids);
  });

  it("of a limit that the configuration has taken away lets all go", async () => {
    const { ids } = await full(3);
    const limits = makeLimits();
    const rooms = new WaitingRooms(redis, "inhouse", limits);
    await redis.zadd(keys.rooms("inhouse"), 0, "certificatesPerDomain:inhouse:big.example");
    // What was spent and held comes back with the bucket's new speed.
    await redis.del(keys.holds("certificatesPerDomain", "inhouse", "big.example"));
    expect(idsOf(await rooms.due())).toEqual(ids);
  });

  it("that the CA has emptied for some time is looked at again when that is over", async () => {
    const { ledger, rooms } = open(5, 5 * DAY);
    await accept(named(2));
    await ledger.exhausted("certificatesPerDomain", "big.example", 300);
    for (const id of named(2)) expect((await admit(ledger, id)).kind).toBe("room");
    expect(await rooms.due()).toEqual([]);
    let called: string[] = [];
    await waitUntil(async () => {
      called = idsOf(await rooms.due());
      return called.length > 0;
    });
    expect(called).toEqual(named(1));
    expect((await admit(ledger, "n0.big.example")).kind).toBe("ok");
  });
});

describe("a certificate of two domains", () => {
  const two = { names: ["both.big.example", "both.other.example"] };

  it("stands in one room, and holds up nobody in the other domain", async () => {
    const { ledger, rooms } = open(2, 2 * DAY);
    const big = named(2, "h");
    const other = named(3, "o", "other.example");
    await accept([...big, ...other, "both.big.example", "last.other.example"]);
    for (const id of big) await admit(ledger, id);
    expect(await admit(ledger, "both.big.example", two)).toMatchObject({
      kind: "room",
      subject: "big.example",
    });
    expect((await admit(ledger, other[0] ?? "")).kind).toBe("ok");
    expect((await admit(ledger, other[1] ?? "")).kind).toBe("ok");
    expect(await admit(ledger, other[2] ?? "")).toMatchObject({ kind: "room", ahead: 0 });
    await ledger.release(holderOf({ id: other[0] ?? "", generation: 1 }));
    expect(idsOf(await rooms.due())).toEqual([other[2]]);
  });

  it("that is called and finds the other domain empty goes there, and the next in the first room has the token", async () => {
    const { ledger, rooms } = open(2, 2 * DAY);
    const big = named(2, "h");
    const other = named(2, "o", "other.example");
    await accept([...big, ...other, "both.big.example", "next.big.example"]);
    for (const id of big) await admit(ledger, id);
    await admit(ledger, "both.big.example", two);
    await admit(ledger, "next.big.example");
    for (const id of other) await admit(ledger, id);
    await ledger.release(holderOf({ id: big[0] ?? "", generation: 1 }));
    expect(idsOf(await rooms.due())).toEqual(["both.big.example"]);
    expect(await admit(ledger, "both.big.example", two)).toMatchObject({ subject: "other.example" });
    expect((await admit(ledger, "next.big.example")).kind).toBe("ok");
    expect(await standing()).toEqual([]);
    const second = keys.room("certificatesPerDomain", "inhouse", "other.example");
    expect(await standing(second)).toEqual(["both.big.example"]);
  });
});
