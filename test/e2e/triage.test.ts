/** Names are looked at before anything is ordered: by real DNS, a real probe, against a real CA. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openStage, type Stage, startWorker, stopProcess } from "../../scripts/stage.ts";
import { byStatus, Installation } from "../support/certherd.ts";
import { long } from "../support/long.ts";
import { waitUntil } from "../support/temp.ts";

/** An address of this machine that is no VIP: nothing is ever sent there. */
const ELSEWHERE = "127.0.0.9";
const CONFIG = "vips: [127.0.0.1]\npreflight: { recheck: [1s] }\nmail: { from: certs@lb.example }\n";

let stage: Stage;
let house: Installation;
let workers: ReturnType<typeof startWorker>[];

beforeAll(async () => {
  stage = await openStage({ gate: true });
});

afterAll(async () => {
  await stage?.close();
});

beforeEach(() => {
  workers = [];
  house = new Installation(stage, {
    CERTHERD_PREFLIGHT: "require",
    CERTHERD_DNS: stage.pebble.dns.address,
    CERTHERD_HTTP_PORT: String(stage.acmePort),
  });
  house.config(CONFIG);
});

afterEach(async () => {
  await Promise.all(workers.map(stopProcess));
  await house.close();
});

function start(...roles: string[]): void {
  for (const role of roles) workers.push(startWorker(role, house.env, join(house.home, "workers.log")));
}

const rows = (names: readonly string[]): string[] => names.map((name) => `${name},443,${stage.acmePort}`);

/** Validations that the CA has begun for names under one domain. */
function validations(domain: string): number {
  return stage.pebble.log().filter((line) => line.includes("Pulled a task") && line.includes(`.${domain}"`))
    .length;
}

describe("100 names, of which 30 do not point here", () => {
  const names = Array.from({ length: 100 }, (_, n) => `host${n}.triage.moo.com`);
  const away = names.filter((_, n) => n % 10 < 3);

  beforeAll(async () => {
    for (const name of away) await stage.pebble.dns.addA(name, [ELSEWHERE]);
  });

  it("are told apart without an order, with a list of records for the customers", async () => {
    const csv = house.csv("domains.csv", rows(names));
    const orders = stage.requests().newOrder;
    const { code, stdout } = await house.run(["import", csv, "--triage"]);
    expect(code).toBe(1);
    expect(stdout).toContain("100 certificates to order: 70 ready, 30 waiting for the customer");
    expect(stage.requests().newOrder).toBe(orders);
    expect(await house.list()).toEqual([]);
    const list = readFileSync(`${csv}.customers.csv`, "utf8").trim().split("\n");
    expect(list[0]).toBe("DOMAIN,Record,Type,Set,Today,Why,Mail");
    expect(list).toHaveLength(31);
    expect(list.find((line) => line.startsWith("host0."))).toContain(
      `host0.triage.moo.com,host0.triage.moo.com,A,127.0.0.1,${ELSEWHERE},`,
    );
  });

  long(
    "70 are ordered, no validation fails; the 30 go on by themselves when their DNS is mended",
    async () => {
      start("respond", "issue");
      await house.run(["import", house.csv("domains.csv", rows(names))]);
      await waitUntil(async () => (byStatus(await house.list()).issued ?? 0) === 70, {
        timeoutMs: 60_000,
        everyMs: 500,
        what: "the 70",
      });
      const waiting = (await house.list()).filter(({ status }) => status !== "issued");
      expect(waiting).toHaveLength(30);
      for (const { status, reason, detail, error } of waiting) {
        expect({ status, reason, code: error?.code }).toEqual({
          status: "waiting",
          reason: "customer",
          code: "customer_record",
        });
        expect(detail).toContain(`today it is ${ELSEWHERE}`);
      }
      expect(validations("triage.moo.com")).toBe(70);
      for (const name of away) await stage.pebble.dns.clearA(name);
      await waitUntil(async () => (byStatus(await house.list()).issued ?? 0) === 100, {
        timeoutMs: 60_000,
        everyMs: 500,
        what: "all 100",
      });
      expect(validations("triage.moo.com")).toBe(100);
      expect(stage.pebble.log().filter((line) => line.includes("set INVALID"))).toEqual([]);
    },
  );
});

it("a wait ends when what is left waits for customers, and says what they have to set", async () => {
  await stage.pebble.dns.addA("gone.moo.com", [ELSEWHERE]);
  const csv = house.csv("domains.csv", rows(["here.moo.com", "gone.moo.com"]));
  const { code, stdout } = await house.run(["import", csv, "--wait"]);
  expect(code).toBe(1);
  expect(stdout).toContain("1 issued, 1 waiting for the customer.");
  expect(stdout).toContain(`gone.moo.com A 127.0.0.1 is to be set; today it is ${ELSEWHERE}`);
});

it("a resolver that does not answer is not the customer's fault", async () => {
  house.env.CERTHERD_DNS = "127.0.0.1:9";
  const csv = house.csv("domains.csv", rows(["any.moo.com"]));
  expect((await house.run(["import", csv, "--wait"])).code).toBe(1);
  const [listed] = await house.list();
  expect(listed).toMatchObject({ status: "waiting", reason: "node", error: { code: "resolver_failed" } });
  expect(existsSync(`${csv}.customers.csv`)).toBe(false);
});

it("port 80 of the VIP that leads elsewhere is not the customer's fault, and costs no order", async () => {
  const orders = stage.requests().newOrder ?? 0;
  // Nothing listens there.
  house.env.CERTHERD_HTTP_PORT = "9";
  const csv = house.csv("domains.csv", rows(["vip.moo.com"]));
  expect((await house.run(["import", csv, "--wait"])).code).toBe(1);
  const [listed] = await house.list();
  expect(listed).toMatchObject({ status: "waiting", reason: "node", error: { code: "vip_unreachable" } });
  expect(stage.requests().newOrder ?? 0).toBe(orders);
});

it("with `warn` it is ordered all the same, and the CA has the last word", async () => {
  house.env.CERTHERD_PREFLIGHT = "warn";
  house.env.CERTHERD_HTTP_PORT = "9";
  const csv = house.csv("domains.csv", rows(["warned.moo.com"]));
  expect((await house.run(["import", csv, "--wait"])).code).toBe(0);
  const { events } = await house.json<{ events: { what: string }[] }>("show", "warned.moo.com");
  expect(events.map(({ what }) => what)).toContain("warned");
});
