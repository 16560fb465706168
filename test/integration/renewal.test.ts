/** What is due for renewal, with a real index: found in slices, asked about, queued once, and warned of. */
import { mkdirSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type CertificateRecord, type IssuedLeaf, lookAt, type Status } from "../../src/core/certificate.ts";
import { type Polled, RENEWAL } from "../../src/renewal/policy.ts";
import type { RenewalDeps } from "../../src/renewal/ports.ts";
import { renewalTurn } from "../../src/renewal/turn.ts";
import { renewalDeps } from "../../src/runtime/renewals.ts";
import { keys } from "../../src/store/keys.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2027, 0, 1);

let redis: RedisServer;
let opened: TestHouse;
let house: TestHouse["house"];
let now: number;
let asked: string[];
let queued: { ids: string[]; urgent: boolean }[];
let warnings: { title: string; detail: string }[];
let answers: Map<string, Polled>;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => await redis.stop());

beforeEach(async () => {
  await redis.client().flushall();
  opened = await openTestHouse(redis.url);
  house = opened.house;
  now = NOW;
  asked = [];
  queued = [];
  warnings = [];
  answers = new Map();
});

afterEach(async () => await opened.close());

function certificate(
  name: string,
  { status = "issued", ...more }: Partial<IssuedLeaf> & { status?: Status; pollAt?: number } = {},
): CertificateRecord {
  const { pollAt = NOW + DAY, ...facts } = more;
  const serial = Buffer.from(name).toString("hex").slice(0, 16).toUpperCase();
  const leaf = {
    notBefore: NOW - 60 * DAY,
    notAfter: NOW + 30 * DAY,
    issuer: "CA",
    serial,
    renewAt: NOW + 10 * DAY,
    ca: house.config.cas[0].name,
    certId: `aki.${name}`,
    ...facts,
  };
  return {
    id: name,
    spec: makeSpec(name),
    status,
    attempts: 0,
    generation: 1,
    acceptedAt: NOW - 60 * DAY,
    leaf,
    schedule: { pollAt },
  };
}

/** The house's own, but for the CA, the clock, and whoever is told. */
function deps(): RenewalDeps {
  const real = renewalDeps(house, []);
  return {
    ...real,
    clock: { now: () => now },
    random: () => 0.5,
    ask: (record) => {
      asked.push(record.id);
      return Promise.resolve(answers.get(record.id) ?? { kind: "unsupported" });
    },
    enqueue: async (records, options) => {
      queued.push({ ids: records.map(({ id }) => id), ...options });
      await real.enqueue(records, options);
    },
    warn: async (records, write) => {
      warnings.push(write(records));
    },
  };
}

async function turn() {
  return await renewalTurn(deps(), new AbortController().signal);
}

describe("renewals that are due", () => {
  it("are queued at their moment, and not before it", async () => {
    const due = certificate("due.example", { renewAt: NOW });
    await house.certificates.restore([due, certificate("later.example", { renewAt: NOW + 1 })]);
    now = NOW - 1;
    expect(await turn()).toEqual({ polled: 0, queued: 0 });
    now = NOW;
    expect(await turn()).toEqual({ polled: 0, queued: 1 });
    expect(queued).toEqual([{ ids: ["due.example"], urgent: false }]);
    expect(await house.certificates.get("due.example")).toMatchObject({ status: "queued", generation: 2 });
  });

  it("are queued once, though the new leaf takes a while, and by two processes at once", async () => {
    const many = Array.from({ length: 450 }, (_, n) => certificate(`n${n}.example`, { renewAt: NOW - DAY }));
    await house.certificates.restore(many);
    await Promise.all([turn(), turn()]);
    now += 10_000;
    await turn();
    now += DAY;
    await turn();
    expect(queued.flatMap(({ ids }) => ids).sort()).toEqual(many.map(({ id }) => id).sort());
  });

  it("are due again where whoever took them has died", async () => {
    await house.certificates.restore([certificate("due.example", { renewAt: NOW })]);
    const dying = { ...deps(), keep: () => Promise.reject(new Error("killed")) };
    await expect(renewalTurn(dying, new AbortController().signal)).rejects.toThrow("killed");
    await turn();
    expect(queued).toEqual([]);
    now += 600_000;
    expect(await turn()).toMatchObject({ queued: 1 });
  });

  it.each([
    [
      "paused",
      (id: string) => house.certificates.transition(id, 1, { status: "paused", reason: "person" }, now),
    ],
    [
      "removed",
      (id: string) => house.certificates.transition(id, 1, { status: "removed", reason: "person" }, now),
    ],
    [
      "asked for with other names",
      (id: string) => house.certificates.accept([makeSpec([id, "www.example"])], { now }),
    ],
    [
      "renewed by another process",
      (id: string) => house.certificates.accept([makeSpec(id)], { now, force: true }),
    ],
  ])("are not asked for where it was %s just before", async (_, act) => {
    await house.certificates.restore([certificate("due.example", { renewAt: NOW })]);
    const real = deps();
    const late: RenewalDeps = {
      ...real,
      enqueue: async (records, options) => {
        await act("due.example");
        await real.enqueue(records, options);
      },
    };
    await renewalTurn(late, new AbortController().signal);
    const record = await house.certificates.get("due.example");
    await act("due.example");
    const after = await house.certificates.get("due.example");
    expect(record?.generation).toBeLessThanOrEqual(2);
    expect(record?.status).toBe(after?.status);
    expect(record?.spec).toEqual(after?.spec);
  });

  it("go on with the order that was in flight when Redis was lost", async () => {
    await house.certificates.restore([certificate("due.example", { renewAt: NOW })]);
    const order = { generation: 2, orderUrl: "https://ca.example/order/7", ca: house.config.cas[0].name };
    await house.certificateFiles.savePendingOrder("due.example", order);
    await turn();
    expect(await house.certificates.get("due.example")).toMatchObject({
      generation: 2,
      orderUrl: order.orderUrl,
    });
  });

  it("are queued though the plan of one cannot be written", async () => {
    const window = { start: NOW - DAY, end: NOW - 1 };
    const names = ["a.example", "b.example"];
    for (const name of names) {
      const record = certificate(name, { pollAt: NOW });
      await house.certificateFiles.saveState(name, { version: 1, name, ...record });
      await house.certificates.restore([record]);
      answers.set(name, { kind: "info", window });
    }
    mkdirSync(house.certificateFiles.paths("a.example").plan);
    expect(await turn()).toMatchObject({ queued: 2 });
  });

  it("leave alone what has failed, is on its way, or was paused", async () => {
    const statuses: Status[] = ["attention", "waiting", "validating", "paused"];
    await house.certificates.restore(
      statuses.map((status) => certificate(`${status}.example`, { status, renewAt: NOW - DAY })),
    );
    expect(await turn()).toMatchObject({ queued: 0 });
  });

  it("move with the new leaf, which begins with a plan of its own", async () => {
    await house.certificates.restore([certificate("due.example", { renewAt: NOW })]);
    await turn();
    const renewed = certificate("due.example", { serial: "FF", renewAt: NOW + 60 * DAY });
    const change = { status: "issued", schedule: { pollAt: NOW + HOUR } } as const;
    if (renewed.leaf)
      await house.certificates.transition("due.example", 2, { ...change, leaf: renewed.leaf }, now);
    expect(Number(await redis.client().zscore(keys.renewals, "due.example"))).toBe(NOW + HOUR);
    expect(await house.certificates.get("due.example")).toMatchObject({ schedule: { pollAt: NOW + HOUR } });
  });
});

describe("what the CA suggests", () => {
  const window = { start: NOW + 5 * DAY, end: NOW + 7 * DAY };

  it("is asked for when it is due, chosen once, kept while it stands, and on disk", async () => {
    const record = certificate("a.example", { pollAt: NOW });
    await house.certificateFiles.saveState("a.example", { version: 1, name: "a.example", ...record });
    await house.certificates.restore([record]);
    answers.set("a.example", { kind: "info", window, retryAt: NOW + 6 * HOUR });
    expect(await turn()).toEqual({ polled: 1, queued: 0 });
    const planned = await house.certificates.get("a.example");
    expect(planned?.leaf?.renewAt).toBe(NOW + 5 * DAY + 0.95 * DAY);
    expect(planned?.schedule).toEqual({ window, pollAt: NOW + 6 * HOUR });
    expect(await house.certificateFiles.plan("a.example")).toMatchObject({
      renewAt: NOW + 5 * DAY + 0.95 * DAY,
    });
    now += 6 * HOUR;
    answers.set("a.example", { kind: "info", window, retryAt: now + 6 * HOUR });
    expect(await turn()).toEqual({ polled: 1, queued: 0 });
    const again = await house.certificates.get("a.example");
    expect(again?.leaf?.renewAt).toBe(NOW + 5 * DAY + 0.95 * DAY);
    expect(Number(await redis.client().zscore(keys.renewals, "a.example"))).toBe(again && lookAt(again));
  });

  it("is as it was when Redis was lost", async () => {
    const record = certificate("a.example", { pollAt: NOW });
    await house.certificateFiles.saveState("a.example", { version: 1, name: "a.example", ...record });
    await house.certificates.restore([record]);
    answers.set("a.example", { kind: "info", window, retryAt: NOW + 6 * HOUR });
    await turn();
    const before = await house.certificates.get("a.example");
    await redis.client().flushall();
    const { restoreFromFiles } = await import("../../src/intake/restore.ts");
    await restoreFromFiles(house.restoreDeps);
    expect(await house.certificates.get("a.example")).toEqual(before);
    expect(Number(await redis.client().zscore(keys.renewals, "a.example"))).toBe(before && lookAt(before));
  });

  it("is followed at once, and before all others, where it lies in the past", async () => {
    const names = ["a.example", "b.example"];
    await house.certificates.restore([
      ...names.map((name) =>
        certificate(name, { pollAt: NOW, notBefore: NOW - DAY, notAfter: NOW + 89 * DAY }),
      ),
      certificate("due.example", { renewAt: NOW }),
    ]);
    const past = { start: NOW - 2 * DAY, end: NOW - DAY };
    for (const name of names)
      answers.set(name, { kind: "info", window: past, explanationUrl: "https://ca.example/why" });
    expect(await turn()).toEqual({ polled: 2, queued: 3 });
    expect(queued).toEqual([
      { ids: names, urgent: true },
      { ids: ["due.example"], urgent: false },
    ]);
    const events = await house.certificates.events("a.example");
    expect(events.map(({ detail }) => detail)).toContainEqual(
      expect.stringContaining("https://ca.example/why"),
    );
    const jobs = await house.producer.queue(`renew-${house.config.cas[0].name}`).getJobs(["prioritized"]);
    expect(jobs.map(({ data }) => data.id).sort()).toEqual([...names, "due.example"]);
    expect(jobs.find(({ data }) => data.id === "a.example")?.priority).toBe(2);
    expect(jobs.find(({ data }) => data.id === "due.example")?.priority).toBe(100);
  });

  it("is one mail for an incident, that tells how many", async () => {
    const incidents = house.incidents;
    await incidents.note("ca", ["a", "b"], 10, NOW);
    await incidents.note("ca", ["b", "c"], 10, NOW + 1_000);
    await incidents.note("ca", [], 5, NOW + 2_000);
    await incidents.note("other", [], 5, NOW);
    expect(await incidents.due("ca", NOW + 60_000)).toBeUndefined();
    expect(await incidents.due("other", NOW + DAY)).toBeUndefined();
    expect(await incidents.due("ca", NOW + 180_000)).toMatchObject({ count: 3, asked: 25, since: NOW });
    await incidents.told("ca", { count: 3 });
    expect(await incidents.due("ca", NOW + 180_000)).toBeUndefined();
    // One, or a few, are not yet all of them.
    const many = Array.from({ length: 40 }, (_, n) => `n${n}`);
    await incidents.note("ca", many, 40, NOW + 190_000);
    expect(await incidents.due("ca", NOW + 400_000)).toMatchObject({ count: 43 });
  });

  it("is asked for again, later and later, while the CA does not answer, and the plan stands", async () => {
    await house.certificates.restore([certificate("a.example", { pollAt: NOW })]);
    answers.set("a.example", { kind: "failed", lasting: false });
    const waits: number[] = [];
    for (let n = 0; n < 4; n++) {
      await turn();
      const record = await house.certificates.get("a.example");
      expect(record?.leaf?.renewAt).toBe(NOW + 10 * DAY);
      waits.push(((record?.schedule?.pollAt ?? 0) - now) / RENEWAL.poll.least);
      now = record?.schedule?.pollAt ?? 0;
    }
    expect(waits).toEqual([1.1, 2.2, 4.4, 8.8]);
  });
});

describe("one that comes near its end", () => {
  it("is told at each step with the reason, once, and those of one person in one mail", async () => {
    const names = ["a.example", "b.example"];
    await house.certificates.restore(
      names.map((name) => certificate(name, { status: "attention", renewAt: NOW, notAfter: NOW + 15 * DAY })),
    );
    for (const id of names)
      await house.certificates.transition(
        id,
        1,
        { status: "attention", reason: "person", detail: "The name leads elsewhere." },
        NOW,
      );
    const told: number[] = [];
    for (let hour = 0; hour <= 16 * 24; hour++) {
      const before = warnings.length;
      await turn();
      if (warnings.length > before) told.push(hour / 24);
      now += HOUR;
    }
    expect(told).toEqual([1, 8, 12, 14, 15]);
    expect(warnings[0]?.title).toBe("2 certificates are not renewed; the first of them ends in 14 d");
    expect(warnings[0]?.detail).toContain(
      "The name leads elsewhere. When that is mended: certherd retry a.example",
    );
    expect(warnings.at(-1)?.title).toContain("has ended");
  });

  it("is not told while it is not due for renewal", async () => {
    await house.certificates.restore([certificate("a.example", { pollAt: NOW, notAfter: NOW + 12 * DAY })]);
    await turn();
    expect(warnings).toEqual([]);
  });
});
