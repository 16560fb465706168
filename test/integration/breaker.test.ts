/** The circuit breaker of an account: what opens it, who may try while it is open, and what closes it. */
import { beforeEach, describe, expect, it } from "vitest";
import { Breaker, type BreakerPolicy, type BreakerScope } from "../../src/limits/breaker.ts";
import { type Admission, Ledger } from "../../src/limits/ledger.ts";
import { CertificateStore } from "../../src/store/certificates.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { makeLimits } from "../support/limits.ts";
import type { RedisServer } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { withRedis } from "../support/with-redis.ts";

const POLICY: BreakerPolicy = { after: 3, probe: [60_000, 120_000, 240_000] };
const IDS = Array.from({ length: 6 }, (_, i) => `n${i}.example`);
const ADMITTED = { kind: "ok", waiting: false };

let server: RedisServer;
let redis: Redis;
let breaker: Breaker;
let ledger: Ledger;

withRedis((client, started) => {
  redis = client;
  server = started;
});

beforeEach(async () => {
  breaker = new Breaker(redis, "inhouse", POLICY);
  ledger = new Ledger(redis, "inhouse", makeLimits());
  await new CertificateStore(redis).accept(
    IDS.map((id) => makeSpec(id)),
    { now: Date.now() },
  );
});

const holderOf = (i: number) => `n${i}.example#1`;

function admit(i: number, by = ledger): Promise<Admission> {
  const id = `n${i}.example`;
  return by.admit({
    id,
    generation: 1,
    names: [id],
    priority: 50,
    holder: holderOf(i),
    exemption: "none",
  });
}

interface Failure {
  scope?: BreakerScope;
  group?: string;
  code?: string;
  detail?: string;
}

function failed(holder: string, failure: Failure = {}, by = breaker): Promise<boolean> {
  const { scope = "validation", group = "connection", code = group, detail = "Timeout" } = failure;
  return by.failed(holder, { scope, group, code, detail });
}

/** True where one of the failures has opened it. */
async function fail(times: number, failure: Failure = {}): Promise<boolean> {
  let opened = false;
  for (let i = 0; i < times; i++) opened = (await failed(`x${i}#1`, failure)) || opened;
  return opened;
}

/** Milliseconds until the next one may try. */
async function wait(): Promise<number> {
  return ((await breaker.state())?.until ?? Number.NaN) - Date.now();
}

/** As if the wait was over. */
async function elapse(): Promise<void> {
  await redis.hset(keys.breaker("inhouse"), "until", Date.now() - 1);
}

function expectAbout(actual: number, ms: number): void {
  expect(actual).toBeLessThanOrEqual(ms);
  expect(actual).toBeGreaterThan(ms - 20_000);
}

describe("a breaker", () => {
  it("opens with so many failures of one kind in a row, tells of that once, and nothing is admitted", async () => {
    expect(await fail(2)).toBe(false);
    expect(await breaker.state()).toBeUndefined();
    expect(await admit(0)).toEqual(ADMITTED);
    expect(await failed("x2#1", { detail: "Timeout after connect" })).toBe(true);
    expect(await failed("x3#1", { detail: "once more" })).toBe(false);
    expect(await breaker.state()).toMatchObject({
      scope: "validation",
      code: "connection",
      detail: "Timeout after connect",
      count: 4,
    });
    const refused = await admit(1);
    expect(refused.kind).toBe("broken");
    expectAbout(refused.kind === "broken" ? refused.wait : 0, 60_000);
  });

  it("is one account's", async () => {
    await fail(3);
    expect(await new Breaker(redis, "other", POLICY).state()).toBeUndefined();
    expect(await admit(0, new Ledger(redis, "other", makeLimits()))).toEqual(ADMITTED);
  });

  it("is shared by all processes", async () => {
    for (let i = 0; i < 3; i++) await failed(`x${i}#1`, {}, new Breaker(server.client(), "inhouse", POLICY));
    expect((await admit(0)).kind).toBe("broken");
  });

  it("stays closed where failures are of different kinds, or a success comes between them", async () => {
    for (let i = 0; i < 5; i++) {
      expect(await fail(2)).toBe(false);
      expect(await fail(2, { group: "dns" })).toBe(false);
    }
    for (let i = 0; i < 5; i++) {
      expect(await fail(2)).toBe(false);
      expect(await breaker.passed("validation")).toBe(false);
    }
    expect(await admit(0)).toEqual(ADMITTED);
  });

  it("opens with failures of one group, whatever their codes, and tells of the last one", async () => {
    await failed("x0#1", { group: "answer", code: "unauthorized" });
    await failed("x1#1", { group: "answer", code: "incorrect_response" });
    expect(await failed("x2#1", { group: "answer", code: "tls" })).toBe(true);
    expect(await breaker.state()).toMatchObject({ scope: "validation", code: "tls", count: 3 });
  });

  it("counts on through orders that the CA takes: they say nothing of the way on which it validates", async () => {
    await fail(2);
    expect(await breaker.passed("ca")).toBe(false);
    expect(await fail(1)).toBe(true);
  });

  it("does not forget a row of failures soon, and forgets it after a day", async () => {
    await fail(2);
    expect(await redis.ttl(keys.breaker("inhouse"))).toBeGreaterThan(86_000);
    await fail(1);
    // While it is open it does not close by itself.
    expect(await redis.ttl(keys.breaker("inhouse"))).toBe(-1);
  });
});

describe("while it is open", () => {
  beforeEach(async () => {
    await fail(3);
  });

  it("one certificate at a time tries, which may come back, and the others wait", async () => {
    await elapse();
    expect(await admit(0)).toEqual(ADMITTED);
    expect((await admit(1)).kind).toBe("broken");
    expect(await admit(0)).toEqual(ADMITTED);
    expectAbout(await wait(), 300_000);
  });

  it("many that ask at once when it is time are one that tries", async () => {
    await elapse();
    const kinds = (await Promise.all(IDS.map((_, i) => admit(i)))).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "ok")).toHaveLength(1);
    expect(kinds.filter((kind) => kind === "broken")).toHaveLength(5);
  });

  it("each try that fails as the others did makes the next one later, up to the last delay", async () => {
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      await elapse();
      expect(await admit(i)).toEqual(ADMITTED);
      expect(await failed(holderOf(i), { detail: "still" })).toBe(false);
      waits.push(await wait());
      expect((await admit(5)).kind).toBe("broken");
    }
    for (const [i, ms] of [120_000, 240_000, 240_000, 240_000].entries()) expectAbout(waits[i] ?? 0, ms);
  });

  it("a try that fails otherwise tells nothing: the next one comes as soon as before", async () => {
    await elapse();
    await admit(0);
    await failed(holderOf(0), { group: "dns", detail: "NXDOMAIN" });
    expectAbout(await wait(), 60_000);
    expect(await breaker.state()).toMatchObject({ code: "connection", count: 3 });
  });

  it("a try that ends for a reason of its own gives way to the next one soon", async () => {
    await elapse();
    await admit(0);
    await breaker.ended("somebody#1");
    expectAbout(await wait(), 300_000);
    await breaker.ended(holderOf(0));
    expectAbout(await wait(), 60_000);
    await elapse();
    expect(await admit(1)).toEqual(ADMITTED);
  });

  it("a failure of an order that was under way before changes nothing for the one that tries", async () => {
    await elapse();
    await admit(0);
    await failed("earlier#1", { detail: "late" });
    expectAbout(await wait(), 300_000);
    expect(await admit(0)).toEqual(ADMITTED);
  });

  it("a try that is lost gives way to the next one when its time is over", async () => {
    await elapse();
    expect(await admit(0)).toEqual(ADMITTED);
    await elapse();
    expect(await admit(1)).toEqual(ADMITTED);
    expect((await admit(2)).kind).toBe("broken");
  });

  it("a validation that passes closes it, once, and all go on", async () => {
    await elapse();
    await admit(0);
    expect(await breaker.passed("validation")).toBe(true);
    expect(await breaker.passed("validation")).toBe(false);
    expect(await breaker.state()).toBeUndefined();
    for (const [i] of IDS.entries()) expect(await admit(i)).toEqual(ADMITTED);
  });

  it("an order that is taken does not close it: validations are what fails", async () => {
    expect(await breaker.passed("ca")).toBe(false);
    expect((await admit(0)).kind).toBe("broken");
  });

  it("an order that is there already goes on", async () => {
    await new CertificateStore(redis).claimOrder("n0.example", 1, "https://ca/order/1");
    expect(await admit(0)).toEqual(ADMITTED);
  });

  it("a person closes it", async () => {
    await breaker.close();
    expect(await breaker.state()).toBeUndefined();
    expect(await admit(0)).toEqual(ADMITTED);
  });

  it("one that waits for its room does not use up the try", async () => {
    const certificates = { certificatesPerNameSet: { count: 1, period: 86_400_000 } };
    const limited = new Ledger(redis, "inhouse", makeLimits({ certificates }));
    await limited.exhausted("certificatesPerDomain", "n0.example", 60_000);
    await elapse();
    expect((await admit(0, limited)).kind).toBe("room");
    expect(await admit(1, limited)).toEqual(ADMITTED);
  });
});

describe("a breaker that the CA has opened", () => {
  beforeEach(async () => {
    await fail(3, { scope: "ca", group: "answer", code: "server_internal" });
  });

  it("is closed by an order that is taken", async () => {
    expect(await breaker.state()).toMatchObject({ scope: "ca", code: "server_internal" });
    expect(await breaker.passed("ca")).toBe(true);
    expect(await admit(0)).toEqual(ADMITTED);
  });

  it("is closed by a validation that passes, as the CA must work for that", async () => {
    expect(await breaker.passed("validation")).toBe(true);
    expect(await admit(0)).toEqual(ADMITTED);
  });
});
