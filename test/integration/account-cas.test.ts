/** What a CA offers and asks for, with a real Pebble: profiles, terms of service, and the account as the CA has it. */
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openClient } from "../../src/acme/client.ts";
import type { CertificateSpec } from "../../src/core/certificate.ts";
import { orderHandler } from "../../src/issuance/order.ts";
import type { OrderJob } from "../../src/queue/names.ts";
import { accountsReport } from "../../src/runtime/account-report.ts";
import { agreeTo } from "../../src/runtime/agree.ts";
import { requireBindings } from "../../src/runtime/bindings.ts";
import { Checks } from "../../src/runtime/check.ts";
import { examine, type Finding } from "../../src/runtime/doctor.ts";
import { lookAtTerms } from "../../src/runtime/terms.ts";
import { startRoles } from "../../src/runtime/up.ts";
import { openTestHouse, type TestHouse } from "../support/house.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { refusal } from "../support/problem.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { type SmtpServer, startSmtp } from "../support/smtp.ts";
import { makeSpec } from "../support/specs.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";
import { startTermsCa, type TermsCa, userActionRequired } from "../support/terms-ca.ts";

const OLD = "https://ca.example/terms-1";
const NEW = "https://ca.example/terms-2";
const HOW = "https://ca.example/agree?token=7";

let redis: RedisServer;
let pebble: Pebble;
let ca: TermsCa;
let opened: TestHouse;

beforeAll(async () => {
  redis = await startRedis();
  const day = 86_400;
  const profiles = {
    classic: { description: "The usual one", validityPeriod: 90 * day },
    shortlived: { description: "For six days", validityPeriod: 6 * day },
  };
  pebble = await startPebble({ httpPort: await freePort(), env: { PEBBLE_WFE_NONCEREJECT: "0" }, profiles });
}, 120_000);

afterAll(async () => {
  await pebble.stop();
  await redis.stop();
});

beforeEach(async () => {
  await redis.client().flushall();
  // Another one for each test, as what a directory says is believed for an hour.
  ca = await startTermsCa(pebble);
  ca.setTerms(OLD);
  opened = await open();
});

afterEach(async () => {
  await opened.close();
  await ca.stop();
});

async function open(env: Record<string, string> = {}, home = tempDir("certherd-cas")): Promise<TestHouse> {
  const settings = { CERTHERD_CA: ca.directoryUrl, CERTHERD_CA_ROOT: ca.rootPath, CERTHERD_HOME: home };
  return await openTestHouse(redis.url, { ...settings, ...env });
}

/** One turn of an order of a certificate that was accepted so. */
async function order(names: string | string[], more: Partial<CertificateSpec> = {}) {
  const { house } = opened;
  const spec = makeSpec(names, more);
  await house.certificates.accept([spec], { now: Date.now() });
  const job: OrderJob = { id: spec.names[0] ?? "", generation: 1 };
  const responders = { ready: async () => undefined, begunSince: async () => false };
  await orderHandler(opened.deps({ responders }))(job, {
    signal: new AbortController().signal,
    priority: 50,
    save: async () => undefined,
  });
  return await house.certificates.get(job.id);
}

describe("a profile", () => {
  it("that the CA offers is ordered", async () => {
    const record = await order("a.example", { profile: "shortlived" });
    expect(record?.orderUrl).toContain("/my-order/");
  });

  it("that it does not offer needs a person, and costs no request and no token", async () => {
    const before = pebble.requests().newOrder ?? 0;
    const record = await order("a.example", { profile: "tlsserver" });
    expect(record).toMatchObject({
      status: "attention",
      reason: "person",
      error: { code: "profile_unknown", detail: expect.stringContaining("it offers classic, shortlived.") },
    });
    expect(pebble.requests().newOrder ?? 0).toBe(before);
    expect(await redis.client().keys("*:holding:*")).toEqual([]);
  });

  it("asks for the directory once, however many orders there are", async () => {
    await opened.account.session();
    const before = ca.requests().directory ?? 0;
    const record = { spec: makeSpec("a.example", { profile: "classic" }) };
    await Promise.all(Array.from({ length: 20 }, () => opened.account.profileFor(record)));
    expect((ca.requests().directory ?? 0) - before).toBe(1);
  });

  it("is not asked about where none is wanted", async () => {
    ca.refuse("directory", userActionRequired(OLD, HOW));
    expect(await opened.account.profileFor({ spec: makeSpec("a.example") })).toBeUndefined();
    expect(ca.requests().directory ?? 0).toBe(0);
  });

  it("that it does not offer is found when the names are looked at, not days later when its turn comes", async () => {
    const checks = new Checks(opened.house);
    const [first] = opened.house.config.cas;
    try {
      const verdict = await checks.check({ spec: makeSpec("a.example", { profile: "tlsserver" }) }, first);
      expect(verdict).toMatchObject({ kind: "blocked", code: "profile_unknown" });
      const right = await checks.check({ spec: makeSpec("a.example", { profile: "classic" }) }, first);
      expect(right.kind).not.toBe("blocked");
    } finally {
      checks.close();
    }
  });

  it("is no fault of its own while the CA answers with an error page, which is asked for once", async () => {
    ca.refuse("directory", refusal("serverInternal", 503));
    const record = { spec: makeSpec("a.example", { profile: "classic" }) };
    for (let tries = 0; tries < 3; tries++)
      await expect(opened.account.profileFor(record)).rejects.toMatchObject({
        code: "ca_answer",
        disposition: "transient",
      });
    expect(ca.requests().directory).toBe(1);
  });

  it("cannot be told while the CA cannot be reached: the order waits, as if it had not been sent", async () => {
    await ca.stop();
    const record = { spec: makeSpec("a.example", { profile: "classic" }) };
    await expect(opened.account.profileFor(record)).rejects.toMatchObject({
      code: "ca_unreachable",
      disposition: "transient",
      unsent: true,
    });
  });
});

describe("the account, as it is shown", () => {
  it("is not there before the first order, and looking makes none", async () => {
    const [report] = await accountsReport(opened.house, opened.house.config.cas);
    expect(report).toMatchObject({
      default: true,
      account: null,
      status: "not registered",
      key: null,
      profiles: [
        { name: "classic", description: "The usual one" },
        { name: "shortlived", description: "For six days" },
      ],
      terms: { url: OLD, agreed: null, current: null },
      caaRecord: null,
    });
    expect(ca.requests().newAccount).toBeUndefined();
    expect(await opened.house.accountFiles.knownKey(opened.account.name)).toBeUndefined();
  });

  it("is what the CA says of it", async () => {
    await opened.close();
    opened = await open({ CERTHERD_ACCOUNT_EMAIL: "ops@example.com" });
    const session = await opened.account.session();
    const [report] = await accountsReport(opened.house, opened.house.config.cas);
    const url = (await opened.house.accountFiles.load(opened.account.name))?.url;
    expect(report).toMatchObject({
      account: url,
      status: "valid",
      contact: ["mailto:ops@example.com"],
      registeredAt: expect.stringMatching(/^20/),
      key: {
        type: "ec256",
        thumbprint: session.keyAuthorization("t").slice(2),
        file: opened.house.accountFiles.keyPath(opened.account.name),
      },
      terms: { url: OLD, agreed: OLD, current: true },
    });
    expect(JSON.stringify(report)).not.toContain("PRIVATE KEY");
  });

  it("is found by its key where its file is gone", async () => {
    await opened.account.session();
    const { accountFiles, config } = opened.house;
    const url = (await accountFiles.load(opened.account.name))?.url;
    await accountFiles.forget(opened.account.name);
    const [report] = await accountsReport(opened.house, config.cas);
    expect(report).toMatchObject({ account: url, status: "valid" });
  });

  it("is deactivated when the CA says so", async () => {
    await opened.account.session();
    const { accountFiles, config } = opened.house;
    const accountUrl = (await accountFiles.load(opened.account.name))?.url ?? "";
    const keyPem = (await accountFiles.knownKey(opened.account.name)) ?? "";
    const client = openClient({ directory: ca.directoryUrl, keyPem, accountUrl });
    await client.updateAccount({ status: "deactivated" });
    const [report] = await accountsReport(opened.house, config.cas);
    expect(report).toMatchObject({ account: accountUrl, status: "deactivated" });
  });

  it("is unknown while the CA cannot be reached, with what is on disk", async () => {
    await opened.account.session();
    await ca.stop();
    const [report] = await accountsReport(opened.house, opened.house.config.cas);
    expect(report).toMatchObject({
      status: "unknown",
      account: expect.stringContaining("/my-account/"),
      detail: expect.stringMatching(/cannot be reached/),
      terms: { agreed: OLD },
    });
  });
});

describe("other terms of service", () => {
  let smtp: SmtpServer;

  beforeEach(async () => {
    smtp = await startSmtp();
    await opened.close();
    const mail = {
      notify: "digest",
      operator: { to: "ops@x.example", relay: "127.0.0.1", port: smtp.port },
    } as const;
    const settings = { CERTHERD_CA: ca.directoryUrl, CERTHERD_CA_ROOT: ca.rootPath };
    opened = await openTestHouse(redis.url, settings, { mail });
  });

  afterEach(async () => {
    await smtp.stop();
  });

  it("are told once for each URL, by mail and in the log", async () => {
    const { startMail } = await import("../../src/runtime/notify.ts");
    const { house } = opened;
    const [first] = house.config.cas;
    await opened.account.session();
    const mail = await startMail(house);
    try {
      await lookAtTerms(house, first);
      ca.setTerms(NEW);
      await expire();
      await Promise.all([lookAtTerms(house, first), lookAtTerms(house, first)]);
      await lookAtTerms(house, first);
      const [message] = await smtp.waitFor(1);
      expect(message?.subject).toContain("has new terms of service");
      expect(message?.text.replace(/\s+/g, " ")).toContain(`${NEW} (agreed to: ${OLD})`);
      ca.setTerms(`${NEW}b`);
      await expire();
      await lookAtTerms(house, first);
      await smtp.waitFor(2);
      expect(smtp.messages).toHaveLength(2);
      const log = readFileSync(`${house.config.home}/certherd.log`, "utf8");
      expect(log.match(/has other terms of service/g)).toHaveLength(2);
    } finally {
      await mail.close();
    }
  });

  it("are looked for by whatever issues, from its start on", async () => {
    const { house, account } = opened;
    await account.session();
    ca.setTerms(NEW);
    const issuing = await startRoles(house, ["issue"]);
    try {
      const log = `${house.config.home}/certherd.log`;
      await waitUntil(() => existsSync(log) && readFileSync(log, "utf8").includes(NEW));
    } finally {
      await issuing.close();
    }
  });

  it("are shown, and said by doctor, until somebody agrees", async () => {
    const { house, account } = opened;
    const [first] = house.config.cas;
    await account.session();
    ca.setTerms(NEW);
    await expire();
    const [report] = await accountsReport(house, [first]);
    expect(report?.terms).toMatchObject({ url: NEW, agreed: OLD, current: false });
    const line = async () => (await findings()).find(({ what }) => what === `terms ${first.name}`);
    expect(await line()).toMatchObject({ ok: false, detail: expect.stringContaining(NEW) });
    await expect(agreeTo(house, first, OLD)).rejects.toMatchObject({ code: "other_terms" });
    expect(await agreeTo(house, first, NEW)).toEqual({ ca: first.name, terms: NEW, lifted: false });
    expect((await house.accountFiles.load(first.name))?.terms).toMatchObject({ url: NEW });
    expect(await line()).toBeUndefined();
  });

  it("that the CA insists on stop the account with their URL, until they are agreed to", async () => {
    const { house, account } = opened;
    const [first] = house.config.cas;
    await account.session();
    ca.refuse("newOrder", userActionRequired(NEW, HOW));
    ca.refuse("account", userActionRequired(NEW, HOW));
    ca.setTerms(NEW);
    const record = await order("a.example");
    expect(record).toMatchObject({
      status: "attention",
      error: { code: "user_action_required", url: HOW, detail: expect.stringContaining(NEW) },
    });
    expect(await house.stops.reason(first.name)).toMatchObject({ code: "user_action_required", url: HOW });
    // What the CA wants is not done yet: it says so, and nothing is lifted.
    await expect(agreeTo(house, first)).rejects.toMatchObject({ code: "user_action_required", url: HOW });
    expect(await house.stops.reason(first.name)).toBeDefined();
    const [report] = await accountsReport(house, [first]);
    expect(report?.stopped).toMatchObject({ url: HOW });
    ca.refuse("newOrder", undefined);
    ca.refuse("account", undefined);
    expect(await agreeTo(house, first)).toMatchObject({ terms: NEW, lifted: true });
    expect(await house.stops.reason(first.name)).toBeUndefined();
  });

  it("that stop a registration are agreed to by the next one", async () => {
    const { house } = opened;
    const [first] = house.config.cas;
    ca.refuse("newAccount", userActionRequired(NEW, HOW));
    const record = await order("a.example");
    expect(record?.error).toMatchObject({ code: "user_action_required", url: HOW });
    ca.refuse("newAccount", undefined);
    expect(await agreeTo(house, first)).toMatchObject({ lifted: true });
    expect(await house.stops.reason(first.name)).toBeUndefined();
  });

  it("cannot be agreed to before there is an account, which agrees by itself", async () => {
    const [first] = opened.house.config.cas;
    await expect(agreeTo(opened.house, first)).rejects.toMatchObject({ code: "not_registered" });
  });

  /** What the directory said is believed for an hour: here only until now. */
  async function expire(): Promise<void> {
    const { directoryOf } = await import("../../src/acme/directories.ts");
    await directoryOf(opened.house.config.cas[0], Date.now(), 0);
  }
});

describe("a CA that is known to want external account binding", () => {
  it("is not asked without it, until there is an account", async () => {
    await opened.close();
    opened = await open({ CERTHERD_CA: "zerossl" });
    const { house } = opened;
    const [first] = house.config.cas;
    await expect(requireBindings(house)).rejects.toMatchObject({
      code: "eab_missing",
      disposition: "usage",
      message: expect.stringMatching(/^zerossl wants external account binding: set CERTHERD_EAB_KID/),
    });
    await expect(opened.account.session()).rejects.toMatchObject({ code: "external_account_required" });
    const { directory } = first;
    await house.accountFiles.save("zerossl", {
      directory,
      url: "https://x.example/1",
      contact: [],
      registeredAt: "",
    });
    await requireBindings(house);
  });
});

describe("doctor", () => {
  it("says which CA is the default and why, and which are left over", async () => {
    const { house } = opened;
    const [first] = house.config.cas;
    const path = house.accountFiles.keyPath("oldca");
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    writeFileSync(path, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    await house.certificates.accept([makeSpec("a.example", { ca: "gone" })], { now: Date.now() });
    const found = await findings();
    const line = (what: string) => found.find((finding) => finding.what === what);
    expect(line("default ca")).toMatchObject({
      ok: true,
      detail: `${first.name} (${first.directory}); CERTHERD_CA says so.`,
    });
    expect(line("ca oldca")).toMatchObject({
      ok: true,
      detail: expect.stringContaining("not configured any more"),
    });
    expect(line("ca gone")).toMatchObject({ ok: false, detail: expect.stringContaining("1 certificates") });
  });

  it("looks whether the CA has the profile that is configured for it", async () => {
    const { house } = opened;
    const [first] = house.config.cas;
    const line = async (profile: string) =>
      (await findings({ profile })).find(({ what }) => what === `profile ${first.name}`);
    expect(await line("classic")).toMatchObject({ ok: true });
    expect(await line("tlsserver")).toMatchObject({
      ok: false,
      detail: expect.stringContaining("classic, shortlived"),
    });
  });
});

async function findings(more: { profile?: string } = {}): Promise<Finding[]> {
  const { config } = opened.house;
  const [first, ...rest] = config.cas;
  const found: Finding[] = [];
  for await (const finding of examine({ ...config, cas: [{ ...first, ...more }, ...rest] }))
    found.push(finding);
  return found;
}
