/** What the ledger says of a certificate that wants to be ordered: all of it in one look at a real Redis. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AppError } from "../../src/core/errors.ts";
import { type Admission, Ledger } from "../../src/limits/ledger.ts";
import { AccountStops } from "../../src/store/account-stops.ts";
import { CertificateStore } from "../../src/store/certificates.ts";
import type { Redis } from "../../src/store/redis.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";

const HOUR = 3_600_000;
const ADMITTED = { kind: "ok", spent: true, waiting: false };

let server: RedisServer;
let redis: Redis;
let certificates: CertificateStore;
let ledger: Ledger;

beforeAll(async () => {
  server = await startRedis();
  redis = server.client();
  certificates = new CertificateStore(redis);
}, 120_000);

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  await redis.flushall();
  // One of the three stays in hand.
  const newOrders = { count: 3, period: 3 * HOUR };
  const failedAuthorizations = { count: 2, period: HOUR };
  ledger = new Ledger(redis, "inhouse", { certificates: { newOrders, failedAuthorizations }, requests: {} });
  await certificates.accept([makeSpec(["a.example", "b.example"]), makeSpec("c.example")], {
    now: Date.now(),
  });
});

function admit(id = "a.example", generation = 1): Promise<Admission> {
  return ledger.admit(id, generation, `${id}#${generation}`);
}

/** How many orders the account may still make; none is left afterwards. */
async function left(): Promise<number> {
  for (let taken = 0; ; taken++) if (!(await ledger.takeOrder()).ok) return taken;
}

describe("a certificate", () => {
  it("is admitted for one token of the account's new orders", async () => {
    expect(await admit()).toEqual(ADMITTED);
    expect(await left()).toBe(1);
  });

  it("whose order is there already is admitted for nothing: it has been paid for", async () => {
    await certificates.claimOrder("a.example", 1, "https://ca/order/1");
    expect(await left()).toBe(2);
    expect(await admit()).toEqual({ kind: "ok", spent: false, waiting: false });
  });

  it("that stands as waiting is told to be", async () => {
    const change = { status: "waiting", reason: "retry", until: Date.now() } as const;
    await certificates.transition("a.example", 1, change, Date.now());
    expect(await admit()).toEqual({ ...ADMITTED, waiting: true });
  });

  it.each(["paused", "removed"] as const)("that is %s is dropped", async (status) => {
    await certificates.transition("a.example", 1, { status }, Date.now());
    expect(await admit()).toEqual({ kind: "drop" });
    expect(await left()).toBe(2);
  });

  it("that is not known, or of which a newer order was asked for, is dropped", async () => {
    expect(await admit("none.example")).toEqual({ kind: "drop" });
    await certificates.accept([makeSpec(["a.example"])], { now: Date.now() });
    expect(await admit("a.example", 1)).toEqual({ kind: "drop" });
    expect(await admit("a.example", 2)).toEqual(ADMITTED);
    expect(await left()).toBe(1);
  });

  it("whose generation has not begun yet comes back", async () => {
    expect(await admit("a.example", 2)).toEqual({ kind: "early" });
    expect(await left()).toBe(2);
  });

  it("of an account that is stopped is not admitted", async () => {
    const stops = new AccountStops(redis);
    await stops.stop("inhouse", new AppError("No such account.", { code: "gone", disposition: "account" }));
    expect(await admit()).toEqual({ kind: "stopped" });
    expect(await left()).toBe(2);
    await stops.lift("inhouse");
    expect((await admit()).kind).toBe("orders");
  });

  it("of which one name has failed too often waits for that name, and for no other", async () => {
    for (const holder of ["x#1", "y#1"]) await ledger.validationsFailed(holder, ["b.example"]);
    const refused = await admit();
    expect(refused).toMatchObject({ kind: "name", name: "b.example" });
    expect(refused.kind === "name" && refused.wait).toBeGreaterThan(HOUR - 60_000);
    expect(await admit("c.example")).toEqual(ADMITTED);
    expect(await left()).toBe(1);
  });

  it("that holds a place itself does not wait for it", async () => {
    await ledger.holdValidations("a.example#1", ["b.example"]);
    await ledger.holdValidations("x#1", ["b.example"]);
    expect(await admit()).toEqual(ADMITTED);
  });

  it("of an account without a token waits until there is one, and takes none", async () => {
    await left();
    const refused = await admit();
    expect(refused.kind).toBe("orders");
    expect(refused.kind === "orders" && refused.wait).toBeGreaterThan(HOUR - 60_000);
    await ledger.refundOrder();
    expect(await admit()).toEqual(ADMITTED);
    expect((await admit("c.example")).kind).toBe("orders");
  });

  it("of a CA that limits nothing is admitted always", async () => {
    const free = new Ledger(redis, "free", { certificates: {}, requests: {} });
    for (let i = 0; i < 10; i++) expect((await free.admit("a.example", 1, "a.example#1")).kind).toBe("ok");
  });
});

it("many that ask at once get as many tokens as there are", async () => {
  const names = Array.from({ length: 20 }, (_, i) => `name-${i}.example`);
  await certificates.accept(
    names.map((name) => makeSpec(name)),
    { now: Date.now() },
  );
  const admissions = await Promise.all(names.map((name) => admit(name)));
  expect(admissions.filter(({ kind }) => kind === "ok")).toHaveLength(2);
  expect(admissions.filter(({ kind }) => kind === "orders")).toHaveLength(18);
});
