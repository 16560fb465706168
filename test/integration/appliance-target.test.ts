import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { LoadbalancerOrgTarget } from "../../src/config/terminations.ts";
import type { Bundle, Examined, Pace, Target } from "../../src/deploy/target.ts";
import { labelOf } from "../../src/deploy/targets/appliance/label.ts";
import { createApplianceTarget } from "../../src/deploy/targets/appliance/target.ts";
import { verify } from "../../src/deploy/verify.ts";
import { startAppliance, type TestAppliance } from "../support/appliance.ts";
import { makeBundle } from "../support/bundles.ts";
import { makeTestCa, type TestCa } from "../support/chains.ts";
import { freePort, tempDir } from "../support/temp.ts";

const dir = tempDir("certherd-appliance-target");
let ca: TestCa;
let appliance: TestAppliance;
let other: TestAppliance;
/** Of two names, one of them a wildcard; the same renewed; and another one. */
let first: Bundle;
let renewed: Bundle;
let second: Bundle;
let target: Target;
const open: Target[] = [];

beforeAll(async () => {
  ca = await makeTestCa();
  [appliance, other] = await Promise.all([startAppliance(), startAppliance()]);
  first = await makeBundle(ca, ["*.a.example", "a.example"], "0A1B2C3D01");
  // It begins as the one before it, as with CAs that count up.
  renewed = await makeBundle(ca, ["*.a.example", "a.example"], "0A1B2C3D02");
  second = await makeBundle(ca, ["b.example"], "77");
});

afterAll(async () => {
  await Promise.all([appliance.stop(), other.stop()]);
  ca.stop();
});

beforeEach(() => {
  appliance.reset();
  other.reset();
  target = targetOf(appliance);
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

function configOf(of: TestAppliance, changes: Partial<LoadbalancerOrgTarget> = {}): LoadbalancerOrgTarget {
  return {
    kind: "loadbalancerOrg",
    url: of.url,
    user: of.user,
    passwordFile: secretFile("password", of.password),
    apiKeyFile: secretFile("key", of.apiKey),
    fingerprint: of.fingerprint,
    vip: of.vip,
    backend: { service: "web" },
    reload: "stunnel",
    reloadEvery: 60_000,
    timeout: 5_000,
    ...changes,
  };
}

function secretFile(name: string, content: string): string {
  const path = join(dir, name);
  writeFileSync(path, `${content}\n`, { mode: 0o600 });
  return path;
}

function targetOf(of: TestAppliance, changes: Partial<LoadbalancerOrgTarget> = {}, pace = noPace()): Target {
  const made = createApplianceTarget(configOf(of, changes), { pace });
  open.push(made);
  return made;
}

function noPace(): Pace {
  return { rest: async () => 0, reloading: async () => undefined };
}

function label(bundle: Bundle): string {
  return labelOf(appliance.vip, bundle);
}

async function isServed(of: TestAppliance, bundle: Bundle): Promise<boolean> {
  const place = { address: "127.0.0.1", port: of.vipPort };
  return (await verify(place, bundle, { within: 0 })).kind === "served";
}

async function examineAll(of: Target): Promise<Examined[]> {
  const found: Examined[] = [];
  for await (const each of of.examine()) found.push(each);
  return found;
}

describe("put", () => {
  it("uploads, points every name at it, and reloads once for the batch", async () => {
    expect(await target.put([first, second])).toEqual(new Map());
    expect(Object.fromEntries(appliance.sni())).toEqual({
      "_.a.example": { rule: "*.a.example", cert: label(first), backend: "web" },
      "a.example": { rule: "a.example", cert: label(first), backend: "web" },
      "b.example": { rule: "b.example", cert: label(second), backend: "web" },
    });
    expect(appliance.labels().get(label(first))).toBe(first.keyPem + first.leafPem + first.issuersPem);
    expect(appliance.reloads()).toBe(1);
    expect(await isServed(appliance, first)).toBe(true);
    expect(await isServed(appliance, second)).toBe(true);
  });

  it("sends connections to an address too, and reloads what is configured", async () => {
    const other = targetOf(appliance, { backend: { ip: "10.0.0.9", port: 8080 }, reload: "haproxy" });
    await other.put([second]);
    expect(appliance.sni().get("b.example")?.backend).toBe("10.0.0.9:8080");
    expect(appliance.steps()).toContain("reload-haproxy");
  });

  it("deletes the label before only after the reload, and that of nobody else", async () => {
    await target.put([first, second]);
    const before = appliance.steps().length;
    expect(await target.put([renewed])).toEqual(new Map());
    expect(appliance.steps().slice(before)).toEqual([
      "list",
      `upload ${label(renewed)}`,
      "edit _.a.example",
      "edit a.example",
      "reload-stunnel",
      `remove ${label(first)}`,
    ]);
    expect([...appliance.labels().keys()]).toEqual([label(second), label(renewed)]);
    expect(await isServed(appliance, renewed)).toBe(true);
    expect(await isServed(appliance, second)).toBe(true);
  });

  it("serves the old one until the new one is, when the reload is refused, and needs no upload to go back", async () => {
    await target.put([first]);
    appliance.fail({ on: "reload", how: "failed", times: 1 });
    await expect(target.put([renewed])).rejects.toMatchObject({
      code: "target_refused",
      disposition: "node",
    });
    expect(await isServed(appliance, first)).toBe(true);
    await target.put([first]);
    expect(appliance.steps().filter((step) => step === `upload ${label(first)}`)).toHaveLength(1);
    expect([...appliance.labels().keys()]).toEqual([label(first)]);
    expect(await isServed(appliance, first)).toBe(true);
  });

  it("leaves a label that a name which was dropped may still use, so that later reloads work", async () => {
    await target.put([await makeBundle(ca, ["a.example", "old.example"], "1111")]);
    const fewer = await makeBundle(ca, ["a.example"], "2222");
    await target.put([fewer]);
    await target.put([second]);
    expect(await isServed(appliance, fewer)).toBe(true);
    expect(await isServed(appliance, second)).toBe(true);
  });

  it("uploads nothing twice", async () => {
    await target.put([first]);
    await target.put([first, first]);
    expect(appliance.steps().filter((step) => step.startsWith("upload"))).toHaveLength(1);
    expect(await isServed(appliance, first)).toBe(true);
  });

  it("takes a label that its list did not tell of for its own", async () => {
    await target.put([first]);
    appliance.fail({ on: "list", how: "hidden", times: 1 });
    expect(await target.put([first])).toEqual(new Map());
  });

  it("sends a long list of entries in several calls", async () => {
    const names = Array.from({ length: 120 }, (_, index) => `n${index}.example`);
    await target.put([await makeBundle(ca, names, "99")]);
    expect(appliance.sni().size).toBe(120);
    // The list, the upload, three calls of entries, the reload.
    expect(appliance.requests()).toBe(6);
  });

  it("makes a label for the longest of names", async () => {
    const name = `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.example`;
    const long = await makeBundle(ca, [name], "1234567890");
    expect(await target.put([long])).toEqual(new Map());
    expect(await target.put([{ ...long, serial: "2234567890" }])).toEqual(new Map());
    expect(appliance.labels().size).toBe(1);
  });

  it("notes the reload before it is made", async () => {
    const events: string[] = [];
    const reloading = async () => void events.push(appliance.steps().join(" "));
    const paced = targetOf(appliance, {}, { rest: async (every) => every / 2, reloading });
    await paced.put([second]);
    expect(events).toHaveLength(1);
    expect(events[0]).not.toContain("reload");
    expect(await paced.rest()).toBe(30_000);
  });
});

describe("a result of the API", () => {
  it("failed, for the list of certificates: the node; missing: there are none", async () => {
    appliance.fail({ on: "list", how: "failed", times: 1 });
    await expect(target.put([first])).rejects.toMatchObject({ code: "target_refused", disposition: "node" });
    appliance.fail({ on: "list", how: "missing", times: 1 });
    expect(await target.put([first])).toEqual(new Map());
  });

  it("exists: the entry is edited", async () => {
    await target.put([first]);
    appliance.fail({ on: "edit", how: "missing", times: 1 });
    // It was told that it is missing, and then that it exists.
    expect(await target.put([renewed])).toEqual(new Map());
    expect(await isServed(appliance, renewed)).toBe(true);
  });

  it("missing: the entry is added", async () => {
    appliance.fail({ on: "add", how: "exists", times: 1 });
    expect(await target.put([second])).toEqual(new Map());
    expect(appliance.steps()).toEqual([
      "list",
      `upload ${label(second)}`,
      "add b.example",
      "edit b.example",
      "add b.example",
      "reload-stunnel",
    ]);
  });

  it("ends where an entry both exists and is missing", async () => {
    appliance.fail({ on: "add", how: "exists", about: "b.example" });
    const failures = await target.put([first, second]);
    expect([...failures.keys()]).toEqual(["b.example"]);
    expect(await isServed(appliance, first)).toBe(true);
  });

  it("missing for an entry that is added: it is the termination", async () => {
    const elsewhere = targetOf(appliance, { vip: "VIP_8443" });
    await expect(elsewhere.put([first])).rejects.toMatchObject({
      code: "node_misconfigured",
      disposition: "node",
      message: expect.stringContaining("VIP VIP_8443 does not exist"),
    });
  });

  it("failed: that certificate alone, with the appliance's words, and its old label stays", async () => {
    await target.put([first]);
    appliance.fail({ on: "edit", how: "failed", about: "_.a.example" });
    const failures = await target.put([renewed, second]);
    expect([...failures.keys()]).toEqual([first.id]);
    expect(failures.get(first.id)).toMatchObject({ code: "target_refused", disposition: "attention" });
    expect(failures.get(first.id)?.message).toContain("it was made to say failed");
    expect(await isServed(appliance, second)).toBe(true);
    expect(appliance.labels().has(label(first))).toBe(true);
  });

  it("fatal: the node", async () => {
    appliance.fail({ on: "add", how: "fatal" });
    await expect(target.put([first])).rejects.toMatchObject({
      code: "node_misconfigured",
      disposition: "node",
    });
    expect(appliance.reloads()).toBe(0);
  });
});

it("tells in the page's words why an upload was refused, and goes on with the others", async () => {
  appliance.fail({ on: "upload", how: "failed", about: "b.example" });
  const failures = await target.put([second, first]);
  expect(failures.get(second.id)).toMatchObject({ code: "target_refused", disposition: "attention" });
  expect(failures.get(second.id)?.message).toContain("It says: The certificate can not be read & used.");
  expect(await isServed(appliance, first)).toBe(true);
  const mismatch = { ...second, keyPem: first.keyPem };
  appliance.mend();
  expect((await target.put([mismatch])).get(second.id)?.message).toContain("do not match");
});

it("takes a page that is not the one for certificates for a fault of the node", async () => {
  appliance.fail({ on: "upload", how: "login" });
  await expect(target.put([first])).rejects.toMatchObject({
    code: "node_misconfigured",
    disposition: "node",
  });
});

describe("an appliance that does not answer as it should", () => {
  it.each([
    ["500", "node_unreachable", "unavailable"],
    ["hang", "node_unreachable", "unavailable"],
    ["close", "node_unreachable", "unavailable"],
    ["no json", "node_unreachable", "unavailable"],
    ["empty", "node_unreachable", "unavailable"],
    ["key", "node_misconfigured", "node"],
  ] as const)("%s: %s", async (how, code, disposition) => {
    const impatient = targetOf(appliance, { timeout: 300 });
    for (const on of ["list", "add", "reload"] as const) {
      appliance.mend();
      appliance.fail({ on, how });
      await expect(impatient.put([first])).rejects.toMatchObject({ code, disposition });
    }
    appliance.mend();
    expect(await impatient.put([first])).toEqual(new Map());
    expect(await isServed(appliance, first)).toBe(true);
  });

  it("is unreachable where nobody listens", async () => {
    const nobody = targetOf(appliance, { url: `https://127.0.0.1:${await freePort()}` });
    await expect(nobody.put([first])).rejects.toMatchObject({
      code: "node_unreachable",
      disposition: "unavailable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it.each(["password", "key"])("is misconfigured with a wrong %s, which no error tells", async (which) => {
    const wrong = secretFile("wrong", "hunter2hunter2");
    const setting = which === "key" ? { apiKeyFile: wrong } : { passwordFile: wrong };
    const error = await targetOf(appliance, setting)
      .put([first])
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "node_misconfigured", disposition: "node" });
    expect(String(error)).not.toContain("hunter2");
  });

  it("is misconfigured without the file of its password", async () => {
    const none = targetOf(appliance, { passwordFile: join(dir, "none") });
    await expect(none.put([first])).rejects.toMatchObject({ code: "node_misconfigured" });
    expect(appliance.requests()).toBe(0);
  });
});

it("sends nothing to who has another certificate, and tells its fingerprint", async () => {
  const wrong = targetOf(appliance, { fingerprint: other.fingerprint });
  const found = appliance.fingerprint.match(/../g)?.join(":");
  await expect(wrong.put([first])).rejects.toMatchObject({
    code: "appliance_not_pinned",
    disposition: "node",
    message: expect.stringContaining(found ?? "?"),
  });
  await expect(wrong.remove([first])).rejects.toMatchObject({ code: "appliance_not_pinned" });
  expect(appliance.received()).toBe(0);
  await target.put([first]);
  expect(appliance.received()).toBeGreaterThan(0);
});

it("brings the same to both nodes of a pair, each by itself", async () => {
  const peer = targetOf(other);
  await target.put([first]);
  expect(other.requests()).toBe(0);
  await peer.put([first]);
  expect(await isServed(appliance, first)).toBe(true);
  expect(await isServed(other, first)).toBe(true);
  await target.put([renewed]);
  expect(await isServed(other, first)).toBe(true);
});

describe.each([{ lost: false }, { lost: true }])(
  "dying between any two calls (answer lost: $lost)",
  ({ lost }) => {
    it("ends, repeated, where it would have ended", async () => {
      const put = () => target.put([renewed, second]);
      const whole = await requestsOf(put);
      expect(whole).toBeGreaterThan(5);
      for (let died = 0; died < whole; died++) {
        await start();
        appliance.cutAfter(died, { lost });
        await expect(put()).rejects.toMatchObject({ code: "node_unreachable" });
        // The reload, and with it the switch, is either made or not; nobody is left without a certificate.
        expect((await isServed(appliance, first)) || (await isServed(appliance, renewed))).toBe(true);
        appliance.mend();
        expect(await put()).toEqual(new Map());
        expect([...appliance.labels().keys()].sort()).toEqual([label(renewed), label(second)].sort());
        expect(await isServed(appliance, renewed)).toBe(true);
        expect(await isServed(appliance, second)).toBe(true);
      }
    });

    it("the same for a removal", async () => {
      const remove = () => target.remove([first]);
      const whole = await requestsOf(remove);
      for (let died = 0; died < whole; died++) {
        await start();
        appliance.cutAfter(died, { lost });
        await expect(remove()).rejects.toMatchObject({ code: "node_unreachable" });
        appliance.mend();
        expect(await remove()).toEqual(new Map());
        expect([appliance.labels().size, appliance.sni().size]).toEqual([0, 0]);
        expect(await isServed(appliance, first)).toBe(false);
      }
    });

    async function start(): Promise<void> {
      appliance.reset();
      await target.put([first]);
    }

    async function requestsOf(work: () => Promise<unknown>): Promise<number> {
      await start();
      const before = appliance.requests();
      await work();
      return appliance.requests() - before;
    }
  },
);

describe("remove", () => {
  it("takes entries, then reloads, then deletes the labels", async () => {
    await target.put([first, second]);
    const before = appliance.steps().length;
    expect(await target.remove([first])).toEqual(new Map());
    expect(appliance.steps().slice(before)).toEqual([
      "list",
      "delete _.a.example",
      "delete a.example",
      "reload-stunnel",
      `remove ${label(first)}`,
      "list",
    ]);
    expect(await isServed(appliance, first)).toBe(false);
    expect(await isServed(appliance, second)).toBe(true);
  });

  it("reloads for nothing where nothing is there", async () => {
    expect(await target.remove([first, second])).toEqual(new Map());
    expect(appliance.reloads()).toBe(0);
  });

  it("keeps the label where an entry could not be deleted", async () => {
    await target.put([first, second]);
    appliance.fail({ on: "delete", how: "failed", about: "b.example" });
    const failures = await target.remove([first, second]);
    expect([...failures.keys()]).toEqual([second.id]);
    expect(failures.get(second.id)).toMatchObject({ code: "target_refused", disposition: "attention" });
    expect([...appliance.labels().keys()]).toEqual([label(second)]);
  });

  it("tells of a label that the page has not deleted", async () => {
    await target.put([second]);
    appliance.fail({ on: "remove", how: "failed" });
    expect([...(await target.remove([second])).keys()]).toEqual([second.id]);
  });

  it("leaves the label of the same certificate that another VIP has", async () => {
    await target.put([second]);
    const elsewhere = targetOf(appliance, { vip: "VIP_8443" });
    expect(await elsewhere.remove([second])).toEqual(new Map());
    expect(appliance.labels().size).toBe(1);
  });
});

describe("examine", () => {
  it("finds all well, and changes nothing", async () => {
    await target.put([first]);
    const before = appliance.steps().length;
    const found = await examineAll(target);
    expect(found.map(({ ok }) => ok)).toEqual([true, true, true, true]);
    expect(found.map(({ detail }) => detail).join("\n")).toContain('"VIP_443" stands in its configuration');
    expect(found.map(({ detail }) => detail).join("\n")).toContain("1 of Certherd's");
    expect(appliance.steps().slice(before)).toEqual(["list", "dump"]);
  });

  it("tells what is wrong", async () => {
    const wrong = await examineAll(targetOf(appliance, { fingerprint: other.fingerprint }));
    expect(wrong).toMatchObject([{ what: "appliance's certificate", ok: false }]);
    appliance.fail({ on: "list", how: "key" });
    expect(await examineAll(target)).toMatchObject([{ what: "appliance's API", ok: false }]);
    const unknown = await examineAll(targetOf(other, { vip: "VIP_8443" }));
    expect(unknown.at(-1)?.detail).toContain("cannot be told");
  });
});
