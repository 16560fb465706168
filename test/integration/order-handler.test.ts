/** Single turns of an order, run by hand: what two workers, or a stop in the middle, may do to it. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, type TestContext } from "vitest";
import type { AcmeSession } from "../../src/acme/session.ts";
import type { CertificateRecord } from "../../src/core/certificate.ts";
import { asAppError } from "../../src/core/errors.ts";
import { restoreFromFiles } from "../../src/intake/restore.ts";
import { orderHandler } from "../../src/issuance/order.ts";
import type { OrderJob } from "../../src/queue/names.ts";
import { pauseCertificate, resumeCertificate } from "../../src/runtime/pausing.ts";
import { removeCertificate } from "../../src/runtime/removing.ts";
import { startRespond } from "../../src/runtime/respond.ts";
import type { Service } from "../../src/runtime/service.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { confusesPebble } from "../support/renewing.ts";
import { makeSpec } from "../support/specs.ts";
import { freePort, waitUntil } from "../support/temp.ts";

const NAME = "a.example";

let redis: RedisServer;
let pebble: Pebble;
let acmePort: number;
let opened: TestHouse;
let house: TestHouse["house"];
let respond: Service;

beforeAll(async () => {
  acmePort = await freePort();
  redis = await startRedis();
  pebble = await startPebble({ httpPort: acmePort, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
}, 120_000);

afterAll(async () => {
  await pebble.stop();
  await redis.stop();
});

beforeEach(async () => {
  await redis.client().flushall();
  const env = { CERTHERD_CA: pebble.directoryUrl, CERTHERD_CA_ROOT: pebble.rootPath };
  opened = await openTestHouse(redis.url, env);
  house = opened.house;
  respond = await startRespond(house);
  await house.certificates.accept([makeSpec(NAME, { acmePort })], { now: Date.now() });
});

afterEach(async () => {
  await respond.close();
  await opened.close();
});

/** `around` may stand between this worker and the CA. */
function worker(around: (session: AcmeSession) => Partial<AcmeSession> = () => ({}), suggests = false) {
  const session = async (): Promise<AcmeSession> => {
    const real = await opened.account.session();
    return {
      newOrder: (...args) => real.newOrder(...args),
      getOrder: (...args) => real.getOrder(...args),
      authorization: (...args) => real.authorization(...args),
      answer: (...args) => real.answer(...args),
      keyAuthorization: (...args) => real.keyAuthorization(...args),
      finalize: (...args) => real.finalize(...args),
      certificate: (...args) => real.certificate(...args),
      revoke: (...args) => real.revoke(...args),
      ...around(real),
    };
  };
  const { name, directory, ledger, breaker } = opened.account;
  const account = {
    name,
    directory,
    ledger,
    breaker,
    session,
    renewSession: async () => false,
    suggestsRenewals: async () => suggests,
    profileFor: async () => undefined,
  };
  const handle = orderHandler(opened.deps({ account }));
  const turn = (job: OrderJob, signal = new AbortController().signal) =>
    handle(job, { signal, priority: 50, save: async () => undefined });
  return {
    turn,
    /** Comes back as often as it is told to, as the queue would have it. */
    async run(generation = 1): Promise<void> {
      let job: OrderJob = { id: NAME, generation };
      for (;;) {
        const outcome = await turn(job);
        if (outcome.kind !== "later") return;
        job = outcome.data ?? job;
        await sleep(Math.max(0, outcome.at - Date.now()));
      }
    },
  };
}

function expectPair(): void {
  const { cert, key } = house.certificateFiles.paths(NAME);
  const leaf = new X509Certificate(readFileSync(cert));
  expect(leaf.checkPrivateKey(createPrivateKey(readFileSync(key)))).toBe(true);
}

it("two workers at one order, one of them thought dead, end with one certificate and its key", async () => {
  const quick = worker();
  // Its order comes late: the other one has its key on disk by then, and is about to have it certified.
  const late = worker((real) => ({
    newOrder: async (...args) => {
      const order = await real.newOrder(...args);
      await waitUntil(() => house.certificateFiles.existingPendingKey(NAME));
      return order;
    },
  }));
  await Promise.all([late.run(), quick.run()]);
  expect(await house.certificates.get(NAME)).toMatchObject({ status: "issued", attempts: 0, generation: 1 });
  expectPair();
  const events = (await house.certificates.events(NAME)).map(({ what }) => what);
  expect(events).not.toContain("failed");
});

it("a stop before the order is made makes none, and leaves the job to come back", async () => {
  const stopped = AbortSignal.abort();
  const job = { id: NAME, generation: 1 };
  const before = pebble.requests().newOrder;
  expect(await worker().turn(job, stopped)).toMatchObject({ kind: "later" });
  expect(pebble.requests().newOrder).toBe(before);
  await worker().run();
  expectPair();
});

it("a pause after the CA was asked to issue loses nothing: the certificate is fetched, and resuming orders none", async () => {
  const paused = worker((real) => ({
    finalize: async (...args) => {
      const order = await real.finalize(...args);
      const record = await house.certificates.get(NAME);
      if (record) expect(await pauseCertificate(house, record)).toBe(true);
      return order;
    },
  }));
  await paused.run();
  await paused.run();
  const record = await house.certificates.get(NAME);
  expect(record).toMatchObject({ status: "paused", leaf: { serial: expect.any(String) } });
  expectPair();
  const orders = pebble.requests().newOrder;
  expect(record && (await resumeCertificate(house, record))).toBe("issued");
  expect((await house.certificates.get(NAME))?.status).toBe("issued");
  expect(pebble.requests().newOrder).toBe(orders);
});

it("a removal while the certificate is fetched stands, also when Redis is lost, and its files go to the archive", async () => {
  const removing = worker((real) => ({
    certificate: async (order) => {
      const pem = await real.certificate(order);
      await removeCertificate(house, { id: NAME });
      return pem;
    },
  }));
  await removing.run();
  expect(await house.certificates.get(NAME)).toBeUndefined();
  expect(existsSync(house.certificateFiles.folder(NAME))).toBe(false);
  expect(readdirSync(join(house.config.home, "archive"))).not.toEqual([]);
});

it("a removal while the certificate is fetched stands, also when that worker dies before it sees it", async () => {
  const removing = worker((real) => ({
    certificate: async (order) => {
      const pem = await real.certificate(order);
      await removeCertificate(house, { id: NAME });
      // Nothing more of this process reaches the index.
      house.certificates.transition = () => Promise.reject(new Error("killed"));
      return pem;
    },
  }));
  await removing.run().catch(() => undefined);
  expect(existsSync(house.certificateFiles.paths(NAME).cert)).toBe(true);
  await redis.client().flushall();
  const env = { CERTHERD_CA: pebble.directoryUrl, CERTHERD_CA_ROOT: pebble.rootPath };
  const again = await openTestHouse(redis.url, { ...env, CERTHERD_HOME: house.config.home });
  await restoreFromFiles(again.house.restoreDeps);
  expect(await again.house.certificates.get(NAME)).toBeUndefined();
  expect(existsSync(house.certificateFiles.folder(NAME))).toBe(false);
  await again.close();
});

it("a pause while the certificate is fetched stands, on disk too, and nothing is ordered when it is resumed", async () => {
  const pausing = worker((real) => ({
    certificate: async (order) => {
      const pem = await real.certificate(order);
      const record = await house.certificates.get(NAME);
      if (record) await pauseCertificate(house, record);
      return pem;
    },
  }));
  await pausing.run();
  const record = await house.certificates.get(NAME);
  expect(record).toMatchObject({ status: "paused", leaf: { serial: expect.any(String) } });
  expect(await house.certificateFiles.read(NAME)).toMatchObject({ status: "paused", leaf: record?.leaf });
  expect(record && (await resumeCertificate(house, record))).toBe("issued");
});

it("a process that dies after each turn goes on with the same order", async () => {
  let job: OrderJob = { id: NAME, generation: 1 };
  const urls = new Set<string | undefined>();
  for (;;) {
    const outcome = await worker().turn(job);
    urls.add((await house.certificates.get(NAME))?.orderUrl);
    if (outcome.kind !== "later") break;
    // Every other time what it had to remember is lost too.
    if (urls.size % 2) job = outcome.data ?? job;
    await sleep(Math.max(0, outcome.at - Date.now()));
  }
  expect(urls.size).toBe(1);
  expectPair();
});

/** The index as it was before it was told of the leaf, which comes with the status. */
async function forgetLeaf(record: CertificateRecord | undefined): Promise<void> {
  if (!record) return;
  const { leaf: _, ...before } = record;
  await house.certificates.restore([{ ...before, status: "finalizing" }]);
}

it("a process that died between the disk and the index finds what it had saved", async () => {
  let downloads = 0;
  const dying = worker((real) => ({
    certificate: async (order) => {
      downloads++;
      return await real.certificate(order);
    },
  }));
  await dying.run();
  const record = await house.certificates.get(NAME);
  await forgetLeaf(record);
  await dying.run();
  expect(await house.certificates.get(NAME)).toMatchObject({ status: "issued", leaf: record?.leaf });
  expect(downloads).toBe(1);
});

it("a process that died while it moved what it had saved into place moves the rest", async () => {
  await worker().run();
  const record = await house.certificates.get(NAME);
  const { cert, ca, fullchain, json } = house.certificateFiles.paths(NAME);
  const next = join(house.certificateFiles.folder(NAME), ".next");
  mkdirSync(next);
  // The key goes first: all else is still on its way.
  const rest = { "cert.pem": cert, "ca.pem": ca, "fullchain.pem": fullchain, "certificate.json": json };
  for (const [name, path] of Object.entries(rest)) renameSync(path, join(next, name));
  await forgetLeaf(record);
  await worker().run();
  expect(await house.certificates.get(NAME)).toMatchObject({
    status: "issued",
    attempts: 0,
    leaf: record?.leaf,
  });
  expectPair();
  expect(existsSync(next)).toBe(false);
});

it("an order that was overtaken by other names is not gone on with", async () => {
  const { turn } = worker();
  const outcome = await turn({ id: NAME, generation: 1 });
  expect(outcome).toMatchObject({ kind: "later", data: { answered: true } });
  await house.certificates.accept([makeSpec([NAME, "b.example"], { acmePort })], { now: Date.now() });
  expect(await turn({ id: NAME, generation: 1, answered: true })).toEqual({ kind: "done" });
  await worker().run(2);
  expectPair();
  expect((await house.certificates.get(NAME))?.spec.names).toEqual([NAME, "b.example"]);
});

it.each(["paused", "removed"] as const)(
  "an order whose certificate was %s is not gone on with",
  async (status) => {
    const { turn } = worker();
    await turn({ id: NAME, generation: 1 });
    await house.certificates.transition(NAME, 1, { status }, Date.now());
    expect(await turn({ id: NAME, generation: 1, answered: true })).toEqual({ kind: "done" });
    expect((await house.certificates.get(NAME))?.status).toBe(status);
  },
);

describe("what an order replaces", () => {
  /** The next generation, as a renewal that is due is asked for. */
  async function renew(generation: number, around?: Parameters<typeof worker>[0]): Promise<void> {
    await house.certificates.accept([makeSpec(NAME, { acmePort })], { now: Date.now(), force: true });
    await worker(around, true).run(generation);
  }

  /** A certificate to be replaced; where Pebble cannot replace it, by its own fault, there is nothing to be told. */
  async function first({ skip }: TestContext, around?: Parameters<typeof worker>[0]): Promise<void> {
    await worker(around, true).run();
    const { leaf } = (await house.certificates.get(NAME)) ?? {};
    skip(leaf !== undefined && confusesPebble(leaf), "one in 256: see confusesPebble");
  }

  const serial = async (): Promise<string | undefined> => (await house.certificates.get(NAME))?.leaf?.serial;

  it("is told to a CA that suggests renewals, and to no other", async (context) => {
    const told: (string | undefined)[] = [];
    const listen = (real: AcmeSession): Partial<AcmeSession> => ({
      newOrder: (names, options) => {
        told.push(options?.replaces);
        return real.newOrder(names, options);
      },
    });
    await first(context, listen);
    const certId = (await house.certificates.get(NAME))?.leaf?.certId;
    await renew(2, listen);
    await house.certificates.accept([makeSpec(NAME, { acmePort })], { now: Date.now(), force: true });
    await worker(listen, false).run(3);
    expect(told).toEqual([undefined, certId, undefined]);
    expect(certId).toMatch(/^[\w-]+\.[\w-]+$/);
    expect((await house.certificates.get(NAME))?.status).toBe("issued");
  });

  it("is ordered once more after a kill before the order was on record, and one certificate comes of it", async () => {
    await worker(undefined, true).run();
    const before = await serial();
    // The CA has the order, and the process dies before it knows its URL: nothing more is heard of it.
    await new Promise<void>((reached) => {
      void renew(2, (real) => ({
        newOrder: async (...args) => {
          await real.newOrder(...args);
          reached();
          return await new Promise<never>(() => undefined);
        },
      }));
    });
    expect((await house.certificates.get(NAME))?.orderUrl).toBeUndefined();
    await worker(undefined, true).run(2);
    const record = await house.certificates.get(NAME);
    expect(record).toMatchObject({ status: "issued", leaf: { renews: before } });
    expect(record?.leaf?.serial).not.toBe(before);
    expectPair();
  });

  it("may have been replaced already, as a lost order has, or one that a restored backup does not know: it is not said then", async (context) => {
    await first(context);
    const before = await house.certificates.get(NAME);
    await renew(2);
    if (!before?.leaf) throw new Error("it is gone");
    await house.certificates.transition(NAME, 2, { status: "issued", leaf: before.leaf }, Date.now());
    const asked: string[] = [];
    await renew(3, (real) => ({
      newOrder: async (names, options) => {
        asked.push(options?.replaces === undefined ? "plain" : "replaces");
        try {
          return await real.newOrder(names, options);
        } catch (error) {
          asked.push(asAppError(error).code);
          throw error;
        }
      },
    }));
    expect(asked).toEqual(["replaces", "already_replaced", "plain"]);
    expect(await house.certificates.get(NAME)).toMatchObject({ status: "issued", generation: 3 });
    expectPair();
  });
});
