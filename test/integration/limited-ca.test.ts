/** The CA with limits that other tests work against: a real Pebble, and before it Boulder's buckets. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openStage } from "../../scripts/stage.ts";
import { BareAcme } from "../support/bare-acme.ts";
import {
  BOULDER_REQUESTS,
  type LimitedCa,
  type LimitedCaOptions,
  startLimitedCa,
} from "../support/limited-ca.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { freePort } from "../support/temp.ts";

const HOUR = 3_600_000;
const RATE_LIMITED = "urn:ietf:params:acme:error:rateLimited";

let pebble: Pebble;
let thumbprint = "";
const stops: (() => Promise<void>)[] = [];
let ca: LimitedCa;
let acme: BareAcme;
/** Every name validates but those that start with "bad". */
const responder = createServer((request, response) => {
  const token = request.url?.split("/").at(-1) ?? "";
  if (request.headers.host?.startsWith("bad")) response.writeHead(404).end();
  else response.end(`${token}.${thumbprint}`);
});

beforeAll(async () => {
  const httpPort = await freePort();
  responder.listen(httpPort, "127.0.0.1");
  pebble = await startPebble({
    httpPort,
    blocklist: ["blocked.example"],
    env: { PEBBLE_WFE_NONCEREJECT: "0" },
  });
}, 120_000);

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

afterAll(async () => {
  responder.close();
  responder.closeAllConnections();
  await pebble.stop();
});

async function open(options: LimitedCaOptions): Promise<void> {
  ca = await startLimitedCa({ upstream: pebble.directoryUrl, rootPath: pebble.rootPath, ...options });
  stops.push(() => ca.stop());
  acme = await client();
  thumbprint = acme.thumbprint;
}

async function client(): Promise<BareAcme> {
  return await BareAcme.open(ca.directoryUrl, readFileSync(ca.rootPath, "utf8"));
}

describe("new orders", () => {
  it("are refused from the burst on until a token is back, as Boulder refuses them", async () => {
    await open({ limits: { newOrders: { count: 3, periodMs: 3 * HOUR } }, scale: 3_600 });
    const before = Date.now();
    for (const name of ["a.example", "b.example", "c.example"]) {
      expect((await acme.newOrder([name])).status).toBe(201);
    }
    const refused = await acme.newOrder(["d.example"]);
    expect(refused).toMatchObject({
      status: 429,
      headers: {
        "content-type": "application/problem+json",
        "retry-after": "1",
        link: '<https://letsencrypt.org/docs/rate-limits>;rel="help"',
      },
      json: { type: RATE_LIMITED, status: 429 },
    });
    expect(refused.json.detail).toMatch(
      /^too many new orders \(3\) from this account in the last 3s, retry after 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC: see https:\/\/letsencrypt\.org\/docs\/rate-limits\/#new-orders-per-account$/,
    );
    // The nonce is Pebble's: it is good for the next request, which is refused again without a cost.
    const again = await acme.newOrder(["d.example"]);
    expect(again.status).toBe(429);
    const { firstAt = 0 } = ca.stats().limits.newOrders;
    expect(firstAt).toBeGreaterThanOrEqual(before);
    await sleep(firstAt + 1_000 - Date.now());
    const nonce = `${again.headers["replay-nonce"]}`;
    const payload = { identifiers: [{ type: "dns", value: "d.example" }] };
    expect((await acme.post(acme.directory.newOrder ?? "", payload, nonce)).status).toBe(201);
    expect((await acme.newOrder(["e.example"])).status).toBe(429);
    const { limits, refusals } = ca.stats();
    expect(limits.newOrders).toMatchObject({ letThrough: 4, refused: 3, refunded: 0, exempt: 0 });
    expect(limits.newOrders.wouldHaveAllowed).toBe(4);
    expect(refusals.map(({ limit, key, account }) => [limit, key, account])).toEqual(
      Array.from({ length: 3 }, () => ["newOrders", acme.account, acme.account]),
    );
  });

  it("that Pebble refuses are given back; another client's are not", async () => {
    await open({ limits: { newOrders: { count: 4, periodMs: HOUR } } });
    const other = await client();
    expect(ca.spendNewOrders(other.account, 9)).toBe(4);
    for (let i = 0; i < 6; i++) expect((await acme.newOrder(["blocked.example"])).status).toBe(400);
    expect((await acme.post(acme.directory.newOrder ?? "", { identifiers: [] }, "no nonce")).status).toBe(
      400,
    );
    expect(ca.stats().limits.newOrders).toMatchObject({ letThrough: 0, refunded: 6, refused: 0 });
    expect((await acme.newOrder(["a.example"])).status).toBe(201);
    expect(ca.spendNewOrders(undefined, 2)).toBe(2);
    expect((await acme.newOrder(["b.example"])).status).toBe(201);
    expect((await acme.newOrder(["c.example"])).status).toBe(429);
    expect((await other.newOrder(["c.example"])).status).toBe(429);
    expect(ca.stats().limits.newOrders).toMatchObject({ letThrough: 2, byOthers: 6, wouldHaveAllowed: 2 });
  });
});

describe("certificates", () => {
  it("count when they are issued, for all accounts; renewals go on", async () => {
    const two = { count: 2, periodMs: 48 * HOUR };
    await open({ limits: { newOrders: two, certificatesPerDomain: two, certificatesPerNameSet: two } });
    expect(await acme.issue(["a.example.com", "www.a.example.com"])).toBe("valid");
    expect(await acme.issue(["b.example.com"])).toBe("valid");
    const other = await client();
    const refused = await other.newOrder(["new.example", "c.example.com"]);
    expect(refused).toMatchObject({ status: 429, headers: { "retry-after": "86400" } });
    expect(refused.json.detail).toMatch(
      /^too many certificates \(2\) already issued for "example\.com" in the last 48h0m0s/,
    );
    expect(await acme.issue(["b.example.com"])).toBe("valid");
    const third = await acme.newOrder(["B.example.com"]);
    expect(third.json.detail).toMatch(
      /^too many certificates \(2\) already issued for this exact set of identifiers/,
    );
    const { limits } = ca.stats();
    expect(limits.newOrders).toMatchObject({ letThrough: 2, exempt: 1 });
    expect(limits.certificatesPerDomain).toEqual({ letThrough: 2, refused: 1 });
    expect(limits.certificatesPerNameSet).toEqual({ letThrough: 3, refused: 1 });
  });
});

describe("failed validations", () => {
  it("block their name, and a whole order with it, for this account alone", async () => {
    await open({ limits: { failedAuthorizations: { count: 2, periodMs: HOUR } } });
    for (let i = 0; i < 2; i++) {
      const order = await acme.newOrder(["bad.example", "good.example"]);
      expect((await acme.authorize(order)).sort()).toEqual(["invalid", "valid"]);
      // Seen again, but counted once.
      for (const url of order.json.authorizations as string[]) await acme.post(url);
    }
    const refused = await acme.newOrder(["good.example", "bad.example"]);
    expect(refused).toMatchObject({
      status: 429,
      headers: { "retry-after": expect.stringMatching(/^1[78]\d\d$/) },
    });
    expect(refused.json.detail).toMatch(
      /^too many failed authorizations \(2\) for "bad\.example" in the last 1h0m0s/,
    );
    expect((await acme.newOrder(["good.example"])).status).toBe(201);
    expect((await (await client()).newOrder(["bad.example"])).status).toBe(201);
    const { validations, limits } = ca.stats();
    expect(limits.failedAuthorizations.refused).toBe(1);
    expect(validations["bad.example"]).toHaveLength(2);
    // Pebble may take an authorization that stands again.
    expect([1, 2]).toContain(validations["good.example"]?.length);
  });

  it("too many in a row pause the name, until a person ends it", async () => {
    await open({ limits: { consecutiveFailures: { count: 1, periodMs: 24 * HOUR } } });
    for (let i = 0; i < 2; i++) await acme.authorize(await acme.newOrder(["bad.example"]));
    const paused = await acme.newOrder(["good.example", "bad.example"]);
    expect(paused.status).toBe(429);
    expect(paused.json.type).toBe(RATE_LIMITED);
    expect(paused.headers).not.toHaveProperty("retry-after");
    expect(paused.headers["replay-nonce"]).toMatch(/\w/);
    expect(paused.json.detail).toMatch(
      /^Your account is temporarily prevented from requesting certificates for bad\.example and possibly others\. Please visit: https:\/\/\S+\?jwt=\S+$/,
    );
    ca.unpause("bad.example");
    expect((await acme.newOrder(["bad.example"])).status).toBe(201);
    ca.pause("good.example");
    expect((await acme.newOrder(["good.example"])).status).toBe(429);
    expect(ca.stats().paused).toBe(2);
  });

  it("an authorization given up while pending is one of them", async () => {
    await open({ limits: { failedAuthorizations: { count: 1, periodMs: HOUR } } });
    const order = await acme.newOrder(["a.example"]);
    const [url = ""] = order.json.authorizations as string[];
    await acme.post(url, { status: "deactivated" });
    expect((await acme.newOrder(["a.example"])).status).toBe(429);
  });
});

describe("requests", () => {
  it("that come too fast get 503 with Retry-After, each class by itself", async () => {
    await open({ requests: { newNonce: { perSecond: 20, burst: 10 } } });
    const answers = await Promise.all(Array.from({ length: 30 }, () => acme.nonce()));
    const busy = answers.filter(({ status }) => status === 503);
    expect(busy.length).toBeGreaterThan(0);
    expect(busy[0]?.headers["retry-after"]).toBe("1");
    await sleep(100);
    expect((await acme.nonce()).status).toBe(200);
    const { requests } = ca.stats();
    expect(requests.newNonce.refused).toBe(busy.length);
    expect(requests.acme).toEqual({ letThrough: 0, refused: 0 });
    expect(BOULDER_REQUESTS.newNonce).toEqual({ perSecond: 20, burst: 10 });
  });
});

describe("a stage", () => {
  it("has such a CA when it is asked for limits", async () => {
    const stage = await openStage({
      gate: false,
      limits: { limits: { newOrders: { count: 1, periodMs: HOUR } } },
    });
    stops.push(() => stage.close());
    expect(stage.limited?.directoryUrl).toBe(stage.env.CERTHERD_CA);
    const root = readFileSync(stage.env.CERTHERD_CA_ROOT ?? "", "utf8");
    const other = await BareAcme.open(stage.env.CERTHERD_CA ?? "", root);
    expect(stage.limited?.spendNewOrders(other.account, 1)).toBe(1);
    expect(stage.limited?.requests().newAccount).toBe(1);
  });
});
