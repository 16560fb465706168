/** From a CSV to being served, by the real HAProxy on two nodes. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openStage, type Stage, startCertherd, stopProcess } from "../../scripts/stage.ts";
import { served } from "../../src/deploy/served.ts";
import { byStatus, Installation, type ListedCertificate } from "../support/certherd.ts";
import { type Haproxy, startHaproxy } from "../support/haproxy.ts";
import { long } from "../support/long.ts";
import { waitUntil } from "../support/temp.ts";
import { haproxyNode, terminationYaml } from "../support/terminations.ts";

interface Seen extends ListedCertificate {
  nodes: { node: string; serving: boolean; serial?: string }[];
}

let stage: Stage;
let house: Installation;
let first: Haproxy;
let second: Haproxy;
/** What a test has started, to be stopped whatever becomes of it. */
const started: { stop(): Promise<unknown> }[] = [];

beforeEach(async () => {
  stage = await openStage({ gate: true, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
  [first, second] = await Promise.all([startHaproxy(), startHaproxy()]);
  started.push({ stop: () => stage.close() }, first, second);
  house = new Installation(stage);
  started.push({ stop: () => house.close() });
  house.config(terminationYaml([haproxyNode("canary", first), haproxyNode("lb2", second)]));
});

afterEach(async () => {
  for (const { stop } of started.splice(0).reverse()) await stop();
});

function up(): void {
  const child = startCertherd(["up"], house.env, join(house.home, "up.log"));
  started.push({ stop: () => stopProcess(child) });
}

const csv = (count: number): string =>
  house.csv(
    "domains.csv",
    Array.from({ length: count }, (_, n) => `host${n}.customer${n % 20}.example,443,${stage.acmePort}`),
  );

const list = async (): Promise<Seen[]> => (await house.json<{ certificates: Seen[] }>("list")).certificates;

async function until(status: string, count: number): Promise<void> {
  const there = async (): Promise<boolean> => (byStatus(await list())[status] ?? 0) === count;
  await waitUntil(there, { timeoutMs: 45_000, everyMs: 300, what: `${count} ${status}` });
}

async function serialAt({ port }: Haproxy, name: string): Promise<string> {
  return (await served({ address: "127.0.0.1", port }, name, { timeout: 3_000 })).serial;
}

it("from a CSV to `serving` on both nodes, the first one first, without a reload, and again after a restart", async () => {
  const pids = [first.pid(), second.pid()];
  const ran = await house.run(["import", csv(40), "--wait"]);
  expect(ran).toMatchObject({ code: 0 });
  const certificates = await list();
  expect(byStatus(certificates)).toEqual({ serving: 40 });
  for (const { name, serial, nodes } of certificates) {
    expect(nodes.map(({ node, serving }) => [node, serving])).toEqual([
      ["canary", true],
      ["lb2", true],
    ]);
    expect(await serialAt(first, name)).toBe(serial);
    expect(await serialAt(second, name)).toBe(serial);
  }
  expect([first.pid(), second.pid()]).toEqual(pids);
  const { events } = await house.json<{ events: { what: string; detail?: string }[] }>(
    "show",
    "host1.customer1.example",
  );
  expect(events.map(({ what }) => what).slice(-4)).toEqual(["issued", "served", "served", "serving"]);
  expect(events.filter(({ what }) => what === "served").map(({ detail }) => detail?.split(" ")[0])).toEqual([
    "canary",
    "lb2",
  ]);
  const lines = house.log().match(/Successfully issued and uploaded new cert/g) ?? [];
  expect(lines).toHaveLength(40);
  await first.restart();
  for (const { name, serial } of certificates) expect(await serialAt(first, name)).toBe(serial);
});

it("a row whose port has no termination is rejected, and says which have one", async () => {
  const file = house.csv("bad.csv", [`a.example,8443,${stage.acmePort}`, `b.example,443,${stage.acmePort}`]);
  const { rejected } = await house.json<{ rejected: { line: number; column: string; reason: string }[] }>(
    "import",
    file,
  );
  expect(rejected).toMatchObject([{ line: 1, column: "VIPPort" }]);
  expect(rejected[0]?.reason).toContain("443");
});

it("a node that is down is gone past and owed; it catches up by itself, and nothing is ordered again", async () => {
  await second.stop();
  up();
  const ran = await house.run(["import", csv(20), "--wait"]);
  expect(ran.code).toBe(1);
  const waiting = await list();
  expect(byStatus(waiting)).toEqual({ waiting: 20 });
  expect(waiting[0]).toMatchObject({ reason: "node", detail: expect.stringContaining("lb2") });
  expect(await serialAt(first, "host3.customer3.example")).toBe(
    waiting.find(({ name }) => name === "host3.customer3.example")?.serial,
  );
  const orders = stage.requests().newOrder;
  await second.restart();
  await until("serving", 20);
  expect(stage.requests().newOrder).toBe(orders);
  expect(await serialAt(second, "host3.customer3.example")).toBe(
    await serialAt(first, "host3.customer3.example"),
  );
});

long("where the first node is down nothing goes to the others, until it is back", async () => {
  await first.stop();
  up();
  await house.run(["import", csv(5), "--wait"]);
  expect(byStatus(await list())).toEqual({ waiting: 5 });
  expect((await list())[0]?.nodes).toEqual([]);
  await first.restart();
  await until("serving", 5);
});

long(
  "a node that does not serve the new one gets the old one back, and the roll-out goes on when that is mended",
  async () => {
    expect((await house.run(["import", csv(3), "--wait"])).code).toBe(0);
    const before = await list();
    // From now on it is looked for where somebody else listens, as if the second node did not take what it is given.
    const astray = { ...haproxyNode("lb2", second), port: first.port };
    const stranger = await startHaproxy();
    started.push(stranger);
    house.config(
      terminationYaml([
        haproxyNode("canary", first),
        { ...astray, port: stranger.port, verifyWithin: "500ms" },
      ]),
    );
    const name = before[0]?.name ?? "";
    await house.run(["issue", "-d", name, "-d", `www.${name}`, "--acme-port", String(stage.acmePort)]);
    const after = (await list()).find((certificate) => certificate.name === name);
    expect(after).toMatchObject({ status: "attention", error: { code: "not_served" } });
    expect(after?.detail).toContain("canary serves");
    expect(await serialAt(first, name)).toBe(after?.serial);
    expect(await serialAt(second, name)).toBe(before[0]?.serial);
    const orders = stage.requests().newOrder;
    house.config(terminationYaml([haproxyNode("canary", first), haproxyNode("lb2", second)]));
    up();
    await house.run(["retry", name]);
    await until("serving", 3);
    expect(await serialAt(second, name)).toBe(after?.serial);
    expect(stage.requests().newOrder).toBe(orders);
  },
);

long("what somebody changes by hand is seen, told and brought back", async () => {
  house.config(
    `${terminationYaml([haproxyNode("canary", first), haproxyNode("lb2", second)])}\nwatch: { every: 1s }\n`,
  );
  const file = house.csv("mail.csv", [
    `a.example,443,${stage.acmePort},certs@moo.com,ops@moo.com,127.0.0.1,${stage.smtp.port}`,
    `b.example,443,${stage.acmePort}`,
  ]);
  up();
  expect((await house.run(["import", file, "--wait"])).code).toBe(0);
  const serial = await serialAt(second, "a.example");
  const pem = (name: string): string => join(second.certDir, `${name}.pem`);
  await second.command(`set ssl cert ${pem("a.example")} <<\n${readFileSync(pem("b.example"), "utf8")}\n`);
  await second.command(`commit ssl cert ${pem("a.example")}\n`);
  expect(await serialAt(second, "a.example")).not.toBe(serial);
  await waitUntil(async () => (await serialAt(second, "a.example")) === serial, {
    timeoutMs: 20_000,
    what: "the certificate to be back",
  });
  await until("serving", 2);
  const { events } = await house.json<{ events: { what: string }[] }>("show", "a.example");
  expect(events.map(({ what }) => what)).toContain("drift");
  await waitUntil(
    () => stage.smtp.messages.some(({ subject }) => subject.includes("lb2 served something else")),
    {
      timeoutMs: 15_000,
      what: "the mail",
    },
  );
});

long(
  "remove takes it from the nodes, the index and the schedule, and a lost Redis does not bring it back",
  async () => {
    expect((await house.run(["import", csv(4), "--wait"])).code).toBe(0);
    const name = "host1.customer1.example";
    const gone = await house.run(["remove", name, "--revoke"]);
    expect(gone).toMatchObject({ code: 0, stdout: expect.stringContaining("removed and revoked") });
    expect(stage.requests().revokeCert).toBe(1);
    const deleted = await house.run(["-D", "-d", "host2.customer2.example"], "lb-letsencrypt");
    expect(deleted).toMatchObject({ code: 0, stdout: expect.stringContaining("Successfully removed cert") });
    const left = ["host0.customer0.example", "host3.customer3.example"];
    expect((await list()).map((certificate) => certificate.name)).toEqual(left);
    for (const node of [first, second]) {
      expect(readdirSync(node.certDir).filter((file) => file.startsWith("host"))).toEqual(
        left.map((each) => `${each}.pem`),
      );
      expect(readFileSync(node.crtList, "utf8")).not.toContain(name);
      const listed = await node.command("show ssl cert\n");
      expect(listed).not.toContain(name);
      expect(listed).toContain("host3.customer3.example");
    }
    const [archived = ""] = readdirSync(join(house.home, "archive")).filter((folder) =>
      folder.startsWith(name),
    );
    const key = join(house.home, "archive", archived, `${name}.key`);
    expect(statSync(key).mode & 0o777).toBe(0o600);
    expect(existsSync(join(house.home, "certificates", name))).toBe(false);
    await house.close();
    const orders = stage.requests().newOrder;
    expect((await list()).map((certificate) => certificate.name)).toEqual(left);
    expect(stage.requests().newOrder).toBe(orders);
  },
);

long(
  "a name that stands in two certificates is served with either, and neither is taken for wrong",
  async () => {
    const file = house.csv("shared.csv", [
      `a.example www.a.example,443,${stage.acmePort}`,
      `www.a.example,443,${stage.acmePort}`,
      `b.example www.a.example,443,${stage.acmePort}`,
    ]);
    expect((await house.run(["import", file, "--wait"])).code).toBe(0);
    expect(byStatus(await list())).toEqual({ serving: 3 });
  },
);

long(
  "a command that fails is tried again by itself, or at once when a person says so, without an order",
  async () => {
    const done = join(house.home, "done");
    const node = haproxyNode("lb2", second);
    const script = `test -e ${done}`;
    house.config(
      terminationYaml([
        haproxyNode("canary", first),
        { ...node, port: first.port, target: { command: { run: ["sh", "-c", script] } } },
      ]),
    );
    up();
    expect((await house.run(["import", csv(2), "--wait"])).code).toBe(1);
    const [waiting] = await list();
    expect(waiting).toMatchObject({ status: "waiting", reason: "node", error: { code: "command_failed" } });
    expect(Date.parse(waiting?.until ?? "")).toBeGreaterThan(Date.now() + 30_000);
    const orders = stage.requests().newOrder;
    writeFileSync(done, "");
    await house.run(["retry"]);
    await until("serving", 2);
    expect(stage.requests().newOrder).toBe(orders);
  },
);
