/** Work that is cut off, paused, overtaken or refused half way: nothing is lost, ordered twice, or counted wrongly. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { AcmeSession } from "../../src/acme/session.ts";
import type { Config } from "../../src/config/load.ts";
import { namesKey } from "../../src/core/certificate.ts";
import { AppError } from "../../src/core/errors.ts";
import { restoreFromFiles } from "../../src/intake/restore.ts";
import { JobSweep } from "../../src/intake/sweep.ts";
import { admitHandler } from "../../src/issuance/admit.ts";
import { orderHandler } from "../../src/issuance/order.ts";
import { Breaker } from "../../src/limits/breaker.ts";
import { WaitingRooms } from "../../src/limits/rooms.ts";
import { limitsOf } from "../../src/limits/table.ts";
import { LedgerView } from "../../src/limits/view.ts";
import { checkHandler } from "../../src/preflight/handler.ts";
import { jobIds, queueNames } from "../../src/queue/names.ts";
import { pauseCertificate, resumeCertificate } from "../../src/runtime/pausing.ts";
import { accountChooser } from "../../src/runtime/spill.ts";
import { certificateFile } from "../../src/store/files.ts";
import { keys } from "../../src/store/keys.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";

const HOUR = 3_600_000;
const WEEK = 168 * HOUR;
const NAME = "www.busy.example";
const JOB = { id: NAME, generation: 1 };
const CONTEXT = { signal: new AbortController().signal, priority: 50, save: async () => undefined };

let redis: RedisServer;
let opened: TestHouse;
let house: TestHouse["house"];
let ca: string;

beforeAll(async () => {
  redis = await startRedis();
}, 120_000);

afterAll(async () => {
  await redis.stop();
});

async function open(more: Partial<Config> = {}): Promise<void> {
  const limits = limitsOf("none", {
    certificates: {
      newOrders: { count: 10, period: 3 * HOUR },
      certificatesPerDomain: { count: 2, period: WEEK },
      certificatesPerNameSet: { count: 5, period: WEEK },
    },
    renewalsExempt: true,
  });
  const cas = [{ name: "first", directory: "https://first.invalid/dir", limits, caaIdentities: [] }] as const;
  opened = await openTestHouse(redis.url, { CERTHERD_PREFLIGHT: "require" }, { cas, ...more });
  house = opened.house;
  ca = opened.account.name;
}

beforeEach(async () => {
  await redis.client().flushall();
  await open();
});

afterEach(async () => {
  await opened.close();
});

async function accept(...names: string[]): Promise<void> {
  await house.certificates.accept(
    names.map((name) => makeSpec(name.split(" "))),
    { now: Date.now() },
  );
}

/** Takes what the domain has, with two orders that never end. */
async function fill(domain: string): Promise<void> {
  for (const n of [1, 2]) {
    await accept(`taken${n}.${domain}`);
    expect(await admit(`taken${n}.${domain}`)).toEqual({ kind: "done" });
  }
}

async function admit(id: string, generation = 1) {
  return await admitHandler(opened.deps())({ id, generation }, CONTEXT);
}

const check = (verdict: () => Promise<void> = async () => undefined) =>
  checkHandler({
    account: ca,
    certificates: house.certificates,
    files: house.certificateFiles,
    listener: house.notifier,
    producer: house.producer,
    clock: house.clock,
    mode: "require",
    ready: async () => undefined,
    check: async () => {
      await verdict();
      return { kind: "ready" };
    },
  });

const room = (domain: string) =>
  redis.client().zrange(keys.room("certificatesPerDomain", ca, domain), "0", "-1");

describe("a check that is done twice, as its process died in between", () => {
  it("leaves a certificate in its waiting room, and its admission alone", async () => {
    await fill("busy.example");
    await accept(NAME);
    await check()(JOB, CONTEXT);
    const queue = house.producer.queue(queueNames.admit(ca));
    expect(await queue.getJob(jobIds.admit(NAME, 1))).toBeDefined();
    expect(await admit(NAME)).toMatchObject({ kind: "later" });
    expect(await room("busy.example")).toEqual([`${NAME}#1`]);
    expect(await check()(JOB, CONTEXT)).toEqual({ kind: "done" });
    expect(await room("busy.example")).toEqual([`${NAME}#1`]);
    expect(await house.certificates.get(NAME)).toMatchObject({ status: "waiting", reason: "limit" });
  });
});

describe("a certificate asked for again while its order is being worked on", () => {
  it("is admitted once that has ended, and keeps its job all the while", async () => {
    await accept(NAME);
    await house.producer.order(ca, JOB, 50);
    await house.enqueuer.enqueue([makeSpec([NAME, "second.busy.example"])]);
    const next = { ...JOB, generation: 2 };
    expect(await check()(next, CONTEXT)).toEqual({ kind: "done" });
    expect(await house.producer.standing(ca, next)).toEqual({ admitted: true, ordered: false });
    expect(await admit(NAME, 2)).toMatchObject({ kind: "later" });
    await house.producer.queue(queueNames.order(ca)).remove(jobIds.order(NAME));
    expect(await admit(NAME, 2)).toEqual({ kind: "done" });
    expect(await house.producer.standing(ca, next)).toMatchObject({ ordered: true });
  });

  it("does not count the order of an earlier generation as its job", async () => {
    await accept(NAME);
    await house.producer.order(ca, JOB, 50);
    const item = { ...JOB, account: ca };
    expect(await house.producer.withoutJob([item, { ...item, generation: 2 }])).toEqual([
      { ...item, generation: 2 },
    ]);
  });
});

it("what has lost its job, however that came, is given one by the sweep, a slice at a time", async () => {
  const names = Array.from({ length: 2_300 }, (_, n) => `n${n}.lost.example`);
  await accept(...names);
  await house.certificates.transition("n7.lost.example", 1, { status: "validating" }, Date.now());
  const sweep = new JobSweep(house.restoreDeps);
  const turns = [await sweep.turn(), await sweep.turn(), await sweep.turn(), await sweep.turn()];
  expect(turns.reduce((sum, found) => sum + found, 0)).toBe(2_300);
  expect(Math.max(...turns)).toBeLessThanOrEqual(1_000);
  const { prioritized } = await house.producer.queue(queueNames.check(ca)).getJobCounts("prioritized");
  expect(prioritized).toBe(2_300);
});

it("the sweep finds nothing where there is nothing", async () => {
  const sweep = new JobSweep(house.restoreDeps);
  expect([await sweep.turn(), await sweep.turn()]).toEqual([0, 0]);
});

describe("a pause", () => {
  it("stands, though a check was under way and ends well", async () => {
    await accept(NAME);
    const handle = check(async () => {
      const record = await house.certificates.get(NAME);
      if (record) expect(await pauseCertificate(house, record)).toBe(true);
    });
    expect(await handle(JOB, CONTEXT)).toEqual({ kind: "done" });
    expect((await house.certificates.get(NAME))?.status).toBe("paused");
    expect(await house.producer.standing(ca, JOB)).toEqual({ admitted: false, ordered: false });
  });

  it("frees the place in the waiting room", async () => {
    await fill("busy.example");
    await accept(NAME);
    await admit(NAME);
    const record = await house.certificates.get(NAME);
    if (record) await pauseCertificate(house, record);
    expect(await room("busy.example")).toEqual([]);
  });

  it("that was ended is not there again after Redis is lost", async () => {
    await accept(NAME);
    const before = await house.certificates.get(NAME);
    if (before) await pauseCertificate(house, before);
    const paused = await house.certificates.get(NAME);
    expect(paused && (await resumeCertificate(house, paused))).toBe("queued");
    await redis.client().flushall();
    await restoreFromFiles(house.restoreDeps);
    expect((await house.certificates.get(NAME))?.status).toBe("queued");
  });

  it("of a certificate that is good ends without an order", async () => {
    await accept(NAME);
    const record = await house.certificates.get(NAME);
    if (!record) throw new Error("not there");
    const now = Date.now();
    const leaf = {
      notBefore: now,
      notAfter: now + 90 * 24 * HOUR,
      renewAt: now + 60 * 24 * HOUR,
      issuer: "CN=Test",
      serial: "0A",
      issuedAt: now,
      ca,
      set: namesKey([NAME]),
    };
    await house.certificateFiles.saveState(NAME, certificateFile({ ...record, status: "issued", leaf }));
    await house.certificates.transition(NAME, 1, { status: "issued", leaf }, now);
    const issued = await house.certificates.get(NAME);
    if (issued) await pauseCertificate(house, issued);
    const paused = await house.certificates.get(NAME);
    expect(paused?.status).toBe("paused");
    expect(paused && (await resumeCertificate(house, paused))).toBe("issued");
    expect(await house.certificates.get(NAME)).toMatchObject({ status: "issued", generation: 1, leaf });
    expect((await house.certificateFiles.read(NAME))?.status).toBe("issued");
  });
});

it("work that comes late does not move back what is issued", async () => {
  await accept(NAME);
  await house.certificates.transition(NAME, 1, { status: "issued" }, Date.now());
  for (const status of ["queued", "checking", "ordering", "validating", "finalizing", "waiting"] as const)
    expect((await house.certificates.transition(NAME, 1, { status }, Date.now())).ok).toBe(false);
  expect((await house.certificates.get(NAME))?.status).toBe("issued");
});

describe("a token that the CA may have counted", () => {
  const holder = `${NAME}#1`;
  const view = () => new LedgerView(redis.client(), ca);
  const spent = async (limit: "newOrders" | "certificatesPerDomain", subject: string) => {
    const { tat, holds } = await view().state(limit, subject);
    return { spent: tat > Date.now(), holds };
  };

  beforeEach(async () => {
    await accept(NAME);
    await admit(NAME);
  });

  it("of newOrder is spent when the order is given up before its answer", async () => {
    await opened.account.ledger.sending(holder);
    await opened.account.ledger.release(holder);
    expect(await spent("newOrders", "")).toEqual({ spent: true, holds: 0 });
    expect(await spent("certificatesPerDomain", "busy.example")).toEqual({ spent: false, holds: 0 });
  });

  it("of newOrder that the CA has refused is free", async () => {
    await opened.account.ledger.sending(holder);
    await opened.account.ledger.unsent(holder);
    await opened.account.ledger.release(holder);
    expect(await spent("newOrders", "")).toEqual({ spent: false, holds: 0 });
  });

  it("of newOrder without an answer is spent, and another one is needed for the next", async () => {
    await opened.account.ledger.sending(holder);
    await opened.account.ledger.lost(holder);
    expect(await spent("newOrders", "")).toEqual({ spent: true, holds: 0 });
    expect(await spent("certificatesPerDomain", "busy.example")).toEqual({ spent: false, holds: 1 });
    await opened.account.ledger.lost(holder);
    await admit(NAME, 1);
    expect((await view().state("certificatesPerDomain", "busy.example")).holds).toBe(1);
  });

  it("of the domain is spent when the order is given up after it was to be finalized", async () => {
    await opened.account.ledger.ordered(holder);
    await opened.account.ledger.finalizing(holder);
    await opened.account.ledger.release(holder);
    expect(await spent("certificatesPerDomain", "busy.example")).toEqual({ spent: true, holds: 0 });
    expect(await redis.client().exists(keys.holding(ca, holder))).toBe(0);
  });
});

it("a CA that counts names otherwise than we do is asked again when it has said, and not before", async () => {
  await accept(NAME);
  await admit(NAME);
  const retryAt = Date.now() + HOUR;
  let asked = 0;
  const session = {
    newOrder: async () => {
      asked++;
      throw new AppError('too many certificates (50) already issued for "example" in the last 168h0m0s', {
        code: "rate_limited",
        disposition: "limit",
        retryAt,
      });
    },
  } as unknown as AcmeSession;
  const { name, directory, ledger, breaker } = opened.account;
  const account = {
    name,
    directory,
    ledger,
    breaker,
    session: async () => session,
    renewSession: async () => false,
    suggestsRenewals: async () => false,
    profileFor: async () => undefined,
  };
  const responders = { ready: async () => undefined, begunSince: async () => false };
  await house.producer.queue(queueNames.order(ca)).obliterate({ force: true });
  expect(await orderHandler(opened.deps({ account, responders }))(JOB, CONTEXT)).toEqual({ kind: "done" });
  expect(asked).toBe(1);
  const job = await house.producer.queue(queueNames.admit(ca)).getJob(jobIds.admit(NAME, 1));
  expect(await job?.isDelayed()).toBe(true);
  expect((job?.timestamp ?? 0) + (job?.delay ?? 0)).toBeGreaterThan(retryAt - 1_000);
  expect(await house.certificates.get(NAME)).toMatchObject({ status: "waiting", reason: "limit" });
});

describe("waiting rooms", () => {
  it("a certificate of two busy domains keeps its place when it changes rooms", async () => {
    await fill("a.example");
    await fill("b.example");
    const both = "both.a.example both.b.example";
    await accept(both, "late1.b.example", "late2.b.example");
    // Both are empty; the room of the one that is empty for longer comes first.
    await admit("both.a.example");
    await admit("late1.b.example");
    await admit("late2.b.example");
    const first = (await room("a.example")).length > 0 ? "a.example" : "b.example";
    const second = first === "a.example" ? "b.example" : "a.example";
    // The first room has a token now; the other one has none, and others wait there.
    await redis.client().del(keys.holds("certificatesPerDomain", ca, first));
    await admit("both.a.example");
    expect(await room(first)).not.toContain("both.a.example#1");
    expect((await room(second))[0]).toBe("both.a.example#1");
  });

  it("a call that is lost with its process is made again within the minute", async () => {
    await fill("busy.example");
    await accept(NAME, "other.busy.example");
    await admit(NAME);
    await admit("other.busy.example");
    await opened.account.ledger.release("taken1.busy.example#1");
    const rooms = new WaitingRooms(redis.client(), ca, opened.account.ledger.limits);
    expect((await rooms.due()).map(({ holder }) => holder)).toEqual([`${NAME}#1`]);
    const [, due] = await redis.client().zrange(keys.rooms(ca), "0", "-1", "WITHSCORES");
    expect(Number(due)).toBeLessThan(Date.now() + 61_000);
  });

  it("a place that was forgotten is taken again by whoever still waits", async () => {
    await fill("busy.example");
    await accept(NAME);
    await admit(NAME);
    await redis.client().del(keys.room("certificatesPerDomain", ca, "busy.example"));
    await admit(NAME);
    expect(await room("busy.example")).toEqual([`${NAME}#1`]);
  });
});

it("a retry goes ahead of a try that was just being planned for tomorrow", async () => {
  await accept(NAME);
  const change = { status: "waiting", reason: "retry", until: Date.now() + 24 * HOUR } as const;
  await house.certificates.transition(NAME, 1, change, Date.now());
  // The process died before it had counted the generation up.
  const tomorrow = { ...JOB, generation: 2, account: ca, priority: 50, at: Date.now() + 24 * HOUR };
  await house.producer.enqueue([tomorrow], Date.now());
  await house.enqueuer.enqueue([makeSpec(NAME)]);
  const job = await house.producer.queue(queueNames.check(ca)).getJob(jobIds.check(NAME, 2));
  expect(await job?.isDelayed()).toBe(false);
});

describe("a second CA", () => {
  beforeEach(async () => {
    await opened.close();
    const limits = limitsOf("none", { certificates: { newOrders: { count: 10, period: 3 * HOUR } } });
    const of = (name: string) => ({
      name,
      directory: `https://${name}.invalid/dir`,
      limits,
      caaIdentities: [],
    });
    await open({ cas: [of("first"), of("second")], spillAfter: HOUR });
  });

  const breakUntil = async (since: number, until: number) =>
    await redis.client().hset(keys.breaker("first"), {
      kind: "ca:down",
      count: 20,
      since: Date.now() + since,
      until: Date.now() + until,
    });
  const choose = async () => (await accountChooser(house)?.choose([makeSpec(NAME)]))?.[0] ?? "first";

  it("takes over from one that has been out of service for a while", async () => {
    await breakUntil(-HOUR, 60_000);
    expect((await new Breaker(redis.client(), "first").state())?.scope).toBe("ca");
    expect(await choose()).toBe("second");
  });

  it("leaves a short outage alone, and somebody to find out when a long one is over", async () => {
    await breakUntil(-10_000, 60_000);
    expect(await choose()).toBe("first");
    await breakUntil(-HOUR, -1);
    expect(await choose()).toBe("first");
  });

  it("is not asked, too, when the order of the CAs is changed while a certificate is in line", async () => {
    await house.enqueuer.enqueue([makeSpec(NAME)]);
    expect((await house.certificates.get(NAME))?.account).toBe("first");
    const cas = [...house.config.cas].reverse() as unknown as Config["cas"];
    const swapped = await openTestHouse(
      redis.url,
      { CERTHERD_PREFLIGHT: "require" },
      { cas, spillAfter: HOUR },
    );
    try {
      const { ensureJobs } = await import("../../src/intake/jobs.ts");
      expect(await ensureJobs(swapped.house.restoreDeps)).toBe(0);
    } finally {
      await swapped.close();
    }
  });
});
