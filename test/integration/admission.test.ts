/** What the ledger says of a certificate that wants to be ordered: all of it in one look at a real Redis. */
import { beforeEach, describe, expect, it } from "vitest";
import { namesKey } from "../../src/core/certificate.ts";
import { AppError } from "../../src/core/errors.ts";
import type { Exemption } from "../../src/limits/buckets.ts";
import { type Admission, Ledger } from "../../src/limits/ledger.ts";
import { LedgerView } from "../../src/limits/view.ts";
import { AccountStops } from "../../src/store/account-stops.ts";
import { CertificateStore } from "../../src/store/certificates.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { makeLimits } from "../support/limits.ts";
import { makeSpec } from "../support/specs.ts";
import { withRedis } from "../support/with-redis.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 10, 25);
const ADMITTED = { kind: "ok", waiting: false };
const CERTIFICATES = {
  // One of the three stays in hand.
  newOrders: { count: 3, period: 3 * HOUR },
  certificatesPerDomain: { count: 2, period: 2 * DAY },
  certificatesPerNameSet: { count: 1, period: DAY },
  failedAuthorizations: { count: 2, period: HOUR },
};

let redis: Redis;
let certificates: CertificateStore;
let ledger: Ledger;
let view: LedgerView;
let now: number;

withRedis((client) => {
  redis = client;
  certificates = new CertificateStore(redis);
});

beforeEach(async () => {
  now = START;
  ledger = new Ledger(redis, "inhouse", makeLimits({ certificates: CERTIFICATES }), () => now);
  view = new LedgerView(redis, "inhouse");
});

interface Asked {
  names?: string[];
  generation?: number;
  priority?: number;
  exemption?: Exemption;
}

/** The certificate is made where it is not there yet. Its names are its own where none are given. */
async function admit(id: string, asked: Asked = {}, by = ledger): Promise<Admission> {
  const { names = [id], generation = 1, priority = 50, exemption = "none" } = asked;
  if ((await certificates.get(id)) === undefined)
    await certificates.accept([makeSpec([id, ...names.filter((name) => name !== id)])], { now });
  const holder = `${id}#${generation}`;
  return await by.admit({ id, generation, names, priority, holder, exemption });
}

/** Tokens of the account's new orders that are spent, and held. */
async function orders(): Promise<{ spent: number; held: number }> {
  const { tat, holds } = await view.state("newOrders", "");
  return { spent: Math.max(0, tat - now) / HOUR, held: holds };
}

async function statusOf(id: string, status: "paused" | "removed" | "queued" | "waiting"): Promise<void> {
  await certificates.transition(id, 1, { status }, now);
}

describe("a certificate", () => {
  it("is admitted for one token of each bucket, all of which are held for it", async () => {
    expect(await admit("a.example", { names: ["a.example", "www.a.example", "b.example"] })).toEqual(
      ADMITTED,
    );
    const set = namesKey(["a.example", "www.a.example", "b.example"]);
    for (const [limit, subject] of [
      ["newOrders", ""],
      ["certificatesPerDomain", "a.example"],
      ["certificatesPerDomain", "b.example"],
      ["certificatesPerNameSet", set],
    ] as const)
      expect(await view.state(limit, subject), `${limit} ${subject}`).toEqual({ tat: 0, holds: 1 });
  });

  it("that asks again has what it has, and takes no more", async () => {
    for (let i = 0; i < 10; i++) expect(await admit("a.example")).toEqual(ADMITTED);
    expect(await orders()).toEqual({ spent: 0, held: 1 });
  });

  it("that stands as waiting is told to be", async () => {
    await admit("a.example");
    await certificates.transition("a.example", 1, { status: "waiting", reason: "retry", until: now }, now);
    expect(await admit("a.example")).toEqual({ ...ADMITTED, waiting: true });
  });

  it("whose order is there already is admitted in any case, as the CA has counted it", async () => {
    await admit("x.example");
    await admit("y.example");
    expect((await admit("a.example")).kind).toBe("orders");
    await certificates.claimOrder("a.example", 1, "https://ca/order/1");
    expect(await admit("a.example")).toEqual(ADMITTED);
  });

  it.each(["paused", "removed"] as const)("that is %s is dropped, and holds nothing", async (status) => {
    await certificates.accept([makeSpec("a.example")], { now });
    await statusOf("a.example", status);
    expect(await admit("a.example")).toEqual({ kind: "drop" });
    expect(await orders()).toEqual({ spent: 0, held: 0 });
  });

  it("that is not known, or of which a newer order was asked for, is dropped", async () => {
    const unknown = { id: "none", generation: 1, names: ["none"], priority: 50, holder: "none#1" };
    expect(await ledger.admit({ ...unknown, exemption: "none" })).toEqual({ kind: "drop" });
    await certificates.accept([makeSpec(["a.example", "b.example"])], { now });
    await certificates.accept([makeSpec("a.example")], { now });
    expect(await admit("a.example", { generation: 1 })).toEqual({ kind: "drop" });
    expect(await admit("a.example", { generation: 2 })).toEqual(ADMITTED);
    expect(await orders()).toEqual({ spent: 0, held: 1 });
  });

  it("whose generation has not begun yet comes back", async () => {
    expect(await admit("a.example", { generation: 2 })).toEqual({ kind: "early" });
    expect(await orders()).toEqual({ spent: 0, held: 0 });
  });

  it("of an account that is stopped is not admitted", async () => {
    const stops = new AccountStops(redis);
    await stops.stop("inhouse", new AppError("No such account.", { code: "gone", disposition: "account" }));
    expect(await admit("a.example")).toEqual({ kind: "stopped" });
    expect(await orders()).toEqual({ spent: 0, held: 0 });
    await stops.lift("inhouse");
    expect(await admit("a.example")).toEqual(ADMITTED);
  });

  it("with a name that the CA has paused is not admitted, nor any other with that name", async () => {
    await ledger.pause(["b.example"], { detail: "Please visit" });
    for (const id of ["a.example", "c.example"])
      expect(await admit(id, { names: [id, "b.example"] })).toEqual({ kind: "paused", name: "b.example" });
    expect(await admit("d.example")).toEqual(ADMITTED);
    await ledger.unpause(["b.example"]);
    expect(await admit("a.example", { names: ["a.example", "b.example"] })).toEqual(ADMITTED);
  });

  it("of which one name has failed too often waits for that name, exactly as long, and for no other", async () => {
    for (const holder of ["x#1", "y#1"]) await ledger.validationsFailed(holder, ["b.example"]);
    now += 60_000;
    const names = ["a.example", "b.example"];
    const wait = HOUR - 60_000 + 1;
    expect(await admit("a.example", { names })).toEqual({ kind: "name", name: "b.example", wait });
    expect(await admit("c.example")).toEqual(ADMITTED);
    // A millisecond more than needed, and not one less.
    now += wait - 2;
    expect((await admit("a.example", { names })).kind).toBe("name");
    now += 2;
    expect(await admit("a.example", { names })).toEqual(ADMITTED);
  });

  it("that holds a place of a name itself does not wait for it", async () => {
    await ledger.holdValidations("a.example#1", ["b.example"]);
    await ledger.holdValidations("x#1", ["b.example"]);
    expect(await admit("a.example", { names: ["a.example", "b.example"] })).toEqual(ADMITTED);
  });

  it("of a CA that limits nothing is admitted always", async () => {
    const free = new Ledger(redis, "free", makeLimits(), () => now);
    for (let i = 0; i < 100; i++) expect(await admit(`n${i}.a.example`, {}, free)).toEqual(ADMITTED);
  });
});

describe("the account's new orders", () => {
  it("leave one in hand, and the next waits exactly until a token is there", async () => {
    for (const id of ["a.example", "b.example"]) {
      await admit(id);
      await ledger.ordered(`${id}#1`);
    }
    now += 60_000;
    expect(await admit("c.example")).toEqual({ kind: "orders", wait: HOUR - 60_000 });
    now += HOUR - 60_001;
    expect(await admit("c.example")).toEqual({ kind: "orders", wait: 1 });
    now += 1;
    expect(await admit("c.example")).toEqual(ADMITTED);
  });

  it("that are held count as spent now, so that a token comes back after the CA's does and never before", async () => {
    await admit("a.example");
    await admit("b.example");
    now += HOUR;
    expect(await admit("c.example")).toEqual({ kind: "orders", wait: HOUR });
    await ledger.ordered("a.example#1");
    await ledger.ordered("b.example#1");
    expect(await admit("c.example")).toEqual({ kind: "orders", wait: HOUR });
    now += HOUR;
    expect(await admit("c.example")).toEqual(ADMITTED);
  });

  it("come back at once where no order was made", async () => {
    await admit("a.example");
    await admit("b.example");
    expect((await admit("c.example")).kind).toBe("orders");
    await ledger.release("a.example#1");
    expect(await admit("c.example")).toEqual(ADMITTED);
  });

  it("are spent once, however often that is told, and not given back afterwards", async () => {
    await admit("a.example");
    for (let i = 0; i < 3; i++) await ledger.ordered("a.example#1");
    await ledger.release("a.example#1");
    await ledger.issued("a.example#1");
    expect(await orders()).toEqual({ spent: 1, held: 0 });
  });

  it("of which it is not known whether the CA has counted it are counted, and not given back", async () => {
    await admit("a.example");
    await ledger.sending("a.example#1");
    await ledger.release("a.example#1");
    expect(await orders()).toEqual({ spent: 1, held: 0 });
  });

  it("that the CA has refused, or never heard of, are given back", async () => {
    await admit("a.example");
    await ledger.sending("a.example#1");
    await ledger.unsent("a.example#1");
    await ledger.release("a.example#1");
    expect(await orders()).toEqual({ spent: 0, held: 0 });
  });

  it("whose answer was lost count, once, and the next one takes another token", async () => {
    await admit("a.example");
    await ledger.lost("a.example#1");
    expect(await orders()).toEqual({ spent: 0, held: 1 });
    await ledger.sending("a.example#1");
    for (let i = 0; i < 3; i++) await ledger.lost("a.example#1");
    expect(await orders()).toEqual({ spent: 1, held: 0 });
    expect(await admit("a.example")).toEqual(ADMITTED);
    expect(await orders()).toEqual({ spent: 1, held: 1 });
  });

  it("of a CA that says there are none wait exactly as long, whoever holds one", async () => {
    await admit("a.example");
    await ledger.exhausted("newOrders", "", 5_000.4);
    expect(await admit("a.example")).toEqual({ kind: "orders", wait: 5_001 });
    expect(await admit("b.example")).toEqual({ kind: "orders", wait: 5_001 });
    now += 5_001;
    expect(await admit("b.example")).toEqual(ADMITTED);
    expect(await admit("a.example")).toEqual({ kind: "orders", wait: HOUR });
  });

  it("that were under way when the CA said so are counted all the same when it answers", async () => {
    await admit("a.example");
    await ledger.exhausted("newOrders", "", 1_000);
    await ledger.ordered("a.example#1");
    expect(await admit("b.example")).toEqual({ kind: "orders", wait: HOUR + 1_000 });
  });

  it("are believed to be fewer, but never more than counted", async () => {
    await ledger.exhausted("newOrders", "", 5 * HOUR);
    await ledger.exhausted("newOrders", "", 1_000);
    expect(await admit("a.example")).toEqual({ kind: "orders", wait: 5 * HOUR });
  });

  it("that a CA limits which is not known to are kept to what it says", async () => {
    const free = new Ledger(redis, "free", makeLimits(), () => now);
    await free.exhausted("newOrders", "", 60_000);
    expect(await admit("a.example", {}, free)).toEqual({ kind: "orders", wait: 60_000 });
    now += 60_000;
    for (let i = 0; i < 50; i++) {
      expect(await admit(`n${i}.example`, {}, free)).toEqual(ADMITTED);
      now += 1;
    }
  });

  it("asked for by many at once are as many as there are", async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `name-${i}.example`);
    await certificates.accept(
      ids.map((id) => makeSpec(id)),
      { now },
    );
    const admissions = await Promise.all(ids.map((id) => admit(id)));
    expect(admissions.filter(({ kind }) => kind === "ok")).toHaveLength(2);
    expect(admissions.filter(({ kind }) => kind === "orders")).toHaveLength(18);
  });
});

describe("certificates of a registered domain", () => {
  const under = (count: number) => Array.from({ length: count }, (_, i) => `n${i}.big.example`);
  const inRoom = { kind: "room", limit: "certificatesPerDomain", subject: "big.example" };
  beforeEach(() => {
    const { newOrders: _, ...others } = CERTIFICATES;
    ledger = new Ledger(redis, "inhouse", makeLimits({ certificates: others }), () => now);
  });

  it("wait in its room for the token of their turn, and hold nothing meanwhile", async () => {
    const admissions: Admission[] = [];
    for (const id of under(5)) admissions.push(await admit(id));
    expect(admissions).toEqual([
      ADMITTED,
      ADMITTED,
      { ...inRoom, wait: DAY, ahead: 0 },
      { ...inRoom, wait: 2 * DAY, ahead: 1 },
      { ...inRoom, wait: 3 * DAY, ahead: 2 },
    ]);
    expect((await view.state("certificatesPerDomain", "big.example")).holds).toBe(2);
    expect((await view.state("newOrders", "")).holds).toBe(2);
    expect(await admit("small.example")).toEqual(ADMITTED);
  });

  it("stay at their place when they ask too early, and are admitted in their turn alone", async () => {
    const [a = "", b = "", c = "", d = ""] = under(4);
    for (const id of [a, b, c, d]) await admit(id);
    for (const id of [a, b]) await ledger.issued(`${id}#1`);
    now += DAY;
    expect(await admit(d)).toEqual({ ...inRoom, wait: DAY, ahead: 1 });
    expect(await admit(c)).toEqual(ADMITTED);
    expect(await admit(d)).toEqual({ ...inRoom, wait: DAY, ahead: 0 });
    await ledger.issued(`${c}#1`);
    now += DAY;
    expect(await admit(d)).toEqual(ADMITTED);
  });

  it("are spent when the certificate is there, not when it is ordered", async () => {
    const [a = "", b = "", c = ""] = under(3);
    for (const id of [a, b]) await admit(id);
    await ledger.ordered(`${a}#1`);
    now += HOUR;
    await ledger.issued(`${a}#1`);
    await ledger.issued(`${b}#1`);
    expect(await admit(c)).toEqual({ ...inRoom, wait: DAY, ahead: 0 });
  });

  it("are spent where the CA may have issued it and its answer is not known", async () => {
    const [a = "", b = "", c = ""] = under(3);
    for (const id of [a, b]) await admit(id);
    await ledger.ordered(`${a}#1`);
    await ledger.finalizing(`${a}#1`);
    await ledger.release(`${a}#1`);
    expect(await view.state("certificatesPerDomain", "big.example")).toEqual({ tat: now + DAY, holds: 1 });
    expect(await admit(c)).toEqual({ ...inRoom, wait: DAY, ahead: 0 });
  });

  it("of which one comes to nothing leave its token to the next", async () => {
    const [a = "", b = "", c = ""] = under(3);
    for (const id of [a, b, c]) await admit(id);
    await ledger.ordered(`${a}#1`);
    await ledger.release(`${a}#1`);
    expect(await admit(c)).toEqual(ADMITTED);
  });

  it("that are urgent go before those that wait, and not before those that are as urgent", async () => {
    for (const id of under(4)) await admit(id);
    expect(await admit("urgent.big.example", { priority: 1 })).toEqual({ ...inRoom, wait: DAY, ahead: 0 });
    expect(await admit("late.big.example", { priority: 1 })).toEqual({ ...inRoom, wait: 2 * DAY, ahead: 1 });
    expect(await admit("low.big.example", { priority: 90 })).toEqual({ ...inRoom, wait: 5 * DAY, ahead: 4 });
  });

  it("that the CA refuses wait as long as it says, and those that are under way go on", async () => {
    const [a = "", b = ""] = under(2);
    await admit(a);
    await ledger.exhausted("certificatesPerDomain", "big.example", 3 * HOUR);
    expect(await admit(b)).toEqual({ ...inRoom, wait: 3 * HOUR + DAY, ahead: 0 });
    expect(await admit(a)).toEqual(ADMITTED);
  });

  it("of a domain that has more of them by the CA's leave are as many", async () => {
    const domains = { "big.example": { count: 4, period: 4 * DAY } };
    const { certificatesPerDomain } = CERTIFICATES;
    const limits = makeLimits({ certificates: { certificatesPerDomain }, domains });
    const granted = new Ledger(redis, "inhouse", limits, () => now);
    const kinds: string[] = [];
    for (const id of under(5)) {
      kinds.push((await admit(id, {}, granted)).kind);
      now += 2 * HOUR;
    }
    expect(kinds).toEqual(["ok", "ok", "ok", "ok", "room"]);
  });

  it("of several domains wait for the one that lasts longest, and hold up nobody at the others", async () => {
    for (const id of under(2)) await admit(id);
    for (const id of ["a.other.example", "b.other.example"]) {
      await admit(id);
      await ledger.issued(`${id}#1`);
    }
    now += HOUR;
    const both = { names: ["both.big.example", "both.other.example"] };
    expect(await admit("both.big.example", both)).toEqual({ ...inRoom, wait: DAY, ahead: 0 });
    expect(await redis.exists(keys.room("certificatesPerDomain", "inhouse", "other.example"))).toBe(0);
    now += 23 * HOUR;
    expect(await admit("c.other.example")).toEqual(ADMITTED);
  });

  it("move to the other room when that has become the longer wait", async () => {
    for (const id of [...under(2), "a.other.example", "b.other.example"]) await admit(id);
    const both = { names: ["both.big.example", "both.other.example"] };
    expect(await admit("both.big.example", both)).toMatchObject({ kind: "room", subject: "big.example" });
    await ledger.exhausted("certificatesPerDomain", "other.example", DAY);
    expect(await admit("both.big.example", both)).toMatchObject({ kind: "room", subject: "other.example" });
    expect(await redis.exists(keys.room("certificatesPerDomain", "inhouse", "big.example"))).toBe(0);
  });

  it("that wait and are paused, removed, or asked for anew free their place", async () => {
    const [, , paused = "", removed = "", anew = "", last = ""] = under(6);
    for (const id of under(6)) await admit(id);
    await statusOf(paused, "paused");
    await statusOf(removed, "removed");
    await certificates.accept([makeSpec(anew)], { now, force: true });
    expect(await admit(last)).toEqual({ ...inRoom, wait: DAY, ahead: 0 });
    expect(await admit(anew, { generation: 2 })).toEqual({ ...inRoom, wait: 2 * DAY, ahead: 1 });
  });

  it("that have to wait for a name leave the room meanwhile", async () => {
    const [, , c = "", d = ""] = under(4);
    for (const id of under(4)) await admit(id);
    for (const holder of ["x#1", "y#1"]) await ledger.validationsFailed(holder, [c]);
    // It is told of what lasts longest.
    expect(await admit(c)).toMatchObject({ kind: "room", ahead: 0 });
    await ledger.issued(`${under(1)[0]}#1`);
    now += DAY;
    for (const holder of ["x#2", "y#2"]) await ledger.validationsFailed(holder, [c]);
    expect(await admit(c)).toMatchObject({ kind: "name", name: c });
    expect(await admit(d)).toEqual(ADMITTED);
  });
});

describe("certificates for the very same names", () => {
  it("are one bucket, whatever the order of the names", async () => {
    expect(await admit("a.example", { names: ["a.example", "b.example"] })).toEqual(ADMITTED);
    await ledger.issued("a.example#1");
    const set = namesKey(["a.example", "b.example"]);
    const again = { names: ["b.example", "a.example"] };
    const room = { kind: "room", limit: "certificatesPerNameSet", subject: set, wait: DAY, ahead: 0 };
    expect(await admit("b.example", again)).toEqual(room);
    expect(await admit("c.example", { names: ["a.example", "b.example", "c.example"] })).toEqual(ADMITTED);
  });
});

describe("a renewal", () => {
  it("of the same names takes no token of new orders and domains, but one of its set", async () => {
    for (const id of ["x.a.example", "y.a.example"]) await admit(id);
    expect(await admit("a.example", { exemption: "renewal" })).toEqual(ADMITTED);
    expect(await orders()).toEqual({ spent: 0, held: 2 });
    await ledger.issued("a.example#1");
    const again = { exemption: "renewal", generation: 2 } as const;
    await certificates.accept([makeSpec("a.example")], { now, force: true });
    expect(await admit("a.example", again)).toMatchObject({ kind: "room", limit: "certificatesPerNameSet" });
  });

  it("of the same names waits for a name that has failed too often", async () => {
    for (const holder of ["x#1", "y#1"]) await ledger.validationsFailed(holder, ["a.example"]);
    expect(await admit("a.example", { exemption: "renewal" })).toMatchObject({ kind: "name" });
  });

  it("that replaces a certificate in its window takes nothing and waits for nothing but a pause", async () => {
    for (const holder of ["x#1", "y#1"]) await ledger.validationsFailed(holder, ["a.example"]);
    await ledger.exhausted("newOrders", "", HOUR);
    expect(await admit("a.example", { exemption: "ari" })).toEqual(ADMITTED);
    expect(await orders()).toMatchObject({ held: 0 });
    await ledger.pause(["a.example"], { detail: "Please visit" });
    expect(await admit("a.example", { exemption: "ari" })).toMatchObject({ kind: "paused" });
  });
});

it("tokens of an order that nobody ends lapse after eight days, when the CA has forgotten it too", async () => {
  await admit("a.example");
  await admit("b.example");
  now += 8 * DAY - 1;
  expect((await admit("c.example")).kind).toBe("orders");
  now += 1;
  expect(await admit("c.example")).toEqual(ADMITTED);
});
