/** Certificates brought to the real stunnel: what it serves, how often it is reloaded, and what a crash or a fault leaves. */
import { once } from "node:events";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { connect } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { StunnelTarget } from "../../src/config/terminations.ts";
import { systemClock } from "../../src/core/clock.ts";
import { AppError } from "../../src/core/errors.ts";
import type { Bundle, Examined, Target } from "../../src/deploy/target.ts";
import { servedSerial } from "../../src/deploy/targets/stunnel/serving.ts";
import { createStunnelTarget } from "../../src/deploy/targets/stunnel/target.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { bundleMaker } from "../support/bundles.ts";
import { makeTestCa, type TestCa } from "../support/chains.ts";
import { startStunnel, type TestStunnel } from "../support/stunnel.ts";
import { waitUntil } from "../support/temp.ts";

let ca: TestCa;
let stunnel: TestStunnel;
let target: Target;
const { bundle, bundles } = bundleMaker(() => ca);
/** Done just before stunnel is told, once. */
let beforeReload: () => void = () => undefined;
let noted = 0;

beforeAll(async () => {
  ca = await makeTestCa();
});

afterAll(() => ca.stop());

beforeEach(async () => {
  stunnel = await startStunnel();
  target = targetOf();
  noted = 0;
  beforeReload = () => undefined;
});

afterEach(async () => await stunnel.stop());

function settings(changed: Partial<StunnelTarget> = {}): StunnelTarget {
  const { config, services, certDir, pidFile, master, connect, program } = stunnel;
  const own = { config, services, certDir, pidFile, master, connect, program };
  return { kind: "stunnel", reloadEvery: 60_000, ...own, ...changed };
}

function targetOf(changed: Partial<StunnelTarget> = {}, clock = systemClock): Target {
  const pace = {
    rest: async (every: number) => every,
    reloading: async () => {
      noted++;
      const doing = beforeReload;
      beforeReload = () => undefined;
      doing();
    },
  };
  return createStunnelTarget(settings(changed), {
    pace,
    node: { address: "127.0.0.1", port: stunnel.port },
    clock,
  });
}

/** While it reloads it takes no connection. */
async function serves(name: string): Promise<string> {
  const node = { address: "127.0.0.1", port: stunnel.port };
  return await waitUntil(async () => (await servedSerial(node, name)) ?? "", {
    what: `a handshake under ${name}`,
  });
}

async function expectServed(all: readonly Bundle[]): Promise<void> {
  for (const { names, serial } of all)
    for (const name of names) expect(await serves(name), name).toBe(serial);
}

async function fault(doing: Promise<unknown>): Promise<AppError> {
  const error = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof AppError) return error;
  throw new Error("no AppError was thrown", { cause: error });
}

function text(path: string): string {
  return readFileSync(path, "utf8");
}

/** Every file of ours, by path, with what is in it. */
function onDisk(): Map<string, string> {
  const folders = [dirname(stunnel.services), stunnel.certDir].filter((folder) => existsSync(folder));
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { withFileTypes: true, recursive: true }).flatMap((entry) =>
      entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
    ),
  );
  return new Map(files.sort().map((path) => [path, text(path)]));
}

describe("a batch", () => {
  it("is served after one reload, renewed by one more, and served by the next start as well", async () => {
    const first = await bundles(60);
    expect(await target.put(first)).toEqual(new Map());
    await expectServed(first);
    expect(stunnel.reloads()).toBe(1);
    expect(noted).toBe(1);

    const renewed = await bundles(60);
    expect(await target.put(renewed)).toEqual(new Map());
    await expectServed(renewed);
    expect(stunnel.reloads()).toBe(2);

    await stunnel.restart();
    await expectServed(renewed);
    const [path, pem] = [join(stunnel.certDir, "n0.example.com.pem"), renewed[0]];
    expect(text(path)).toBe(`${pem?.keyPem}${pem?.leafPem}${pem?.issuersPem}`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(onDisk().size).toBe(61);
  });

  it("serves every name of a certificate, and patterns only where there is no name of its own", async () => {
    const pattern = await bundle("*.example.com", "example.com");
    const deeper = await bundle("*.a.example.com");
    const own = await bundle("www.example.com", "shop.a.example.com");
    await target.put([pattern, deeper, own]);
    await expectServed([own]);
    expect(await serves("example.com")).toBe(pattern.serial);
    expect(await serves("other.example.com")).toBe(pattern.serial);
    expect(await serves("other.a.example.com")).toBe(deeper.serial);
    expect(existsSync(join(stunnel.certDir, "_.example.com.pem"))).toBe(true);
    expect(stunnel.reloads()).toBe(1);
  });

  it("sends on what comes in under a name", async () => {
    await target.put([await bundle("a.example.com")]);
    const socket = connect({
      host: "127.0.0.1",
      port: stunnel.port,
      servername: "a.example.com",
      ca: ca.rootPem,
    });
    socket.end("GET / HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n\r\n");
    const [authorized, answer] = [
      once(socket, "secureConnect").then(() => socket.authorized),
      readAll(socket),
    ];
    expect(await answer).toContain("behind stunnel");
    expect(await authorized).toBe(true);
  });

  it("gives a name to the certificate that claimed it last", async () => {
    const both = await bundle("a.example.com", "b.example.com");
    const later = await bundle("c.example.com", "b.example.com");
    await target.put([both]);
    await target.put([later]);
    expect(await serves("a.example.com")).toBe(both.serial);
    expect(await serves("b.example.com")).toBe(later.serial);
    expect(text(stunnel.services).match(/^\[certherd-b\.example\.com\]$/gm)).toHaveLength(1);
  });

  it("that is there and served already reloads nothing", async () => {
    const all = await bundles(3);
    await target.put(all);
    await target.put(all);
    expect(stunnel.reloads()).toBe(1);
    expect(noted).toBe(1);
  });

  it("leaves out what stunnel does not load, and says which, and why", async () => {
    const [first, bad, second, broken, last] = await bundles(5);
    if (!first || !bad || !second || !broken || !last) throw new Error("too few");
    const foreign = { ...bad, keyPem: first.keyPem };
    const torn = { ...broken, leafPem: broken.leafPem.replace(/[A-Za-z0-9+/]{40}\n/, "\n") };
    const odd = { ...(await bundle("odd.example.com")), names: ["odd.example.com\nexec = /bin/false"] };
    const failures = await target.put([first, foreign, second, torn, odd, last]);
    expect([...failures.keys()].sort()).toEqual([bad.id, broken.id, odd.id].sort());
    expect(failures.get(bad.id)).toMatchObject({ code: "target_refused", disposition: "attention" });
    expect(failures.get(bad.id)?.message).toContain("n1.example.com");
    expect(failures.get(bad.id)?.message).toContain("key values mismatch");
    await expectServed([first, second, last]);
    expect(stunnel.reloads()).toBe(1);
    expect(existsSync(join(stunnel.certDir, `${bad.id}.pem`))).toBe(false);
  });

  it("of which nothing can be used changes nothing", async () => {
    await target.put([await bundle("a.example.com")]);
    const before = onDisk();
    const bad = { ...(await bundle("a.example.com")), keyPem: await generateKey("ec256") };
    expect([...(await target.put([bad])).keys()]).toEqual(["a.example.com"]);
    expect(onDisk()).toEqual(before);
    expect(stunnel.reloads()).toBe(1);
  });

  it("goes by the defaults of the main configuration when it is tried", async () => {
    // Level 5 asks for keys of 256 bits of security, which P-256 has not.
    writeFileSync(stunnel.config, `securityLevel = 5\n${text(stunnel.config)}`);
    const weak = await bundle("weak.example.com");
    expect((await target.put([weak])).get(weak.id)?.code).toBe("target_refused");
    expect(stunnel.reloads()).toBe(0);
  });

  it("does not take a name for which another's service comes first", async () => {
    const rest = `[own]\nsni = https:*.taken.example\ncert = ${join(dirname(stunnel.config), "default.pem")}\nconnect = ${stunnel.connect}\n`;
    writeFileSync(join(dirname(stunnel.services), "a.conf"), rest);
    const [taken, free] = [await bundle("www.taken.example"), await bundle("free.example")];
    const failures = await target.put([taken, free]);
    expect(failures.get(taken.id)?.message).toContain("*.taken.example");
    expect([...failures.keys()]).toEqual([taken.id]);
    await expectServed([free]);
  });
});

describe("removal", () => {
  it("takes certificates away with one reload, and then their files", async () => {
    const all = await bundles(4);
    await target.put(all);
    const [first, second, ...others] = all;
    if (!first || !second) throw new Error("too few");
    const removals = [first, second, { id: "never.example.com", names: ["never.example.com"] }];
    expect(await target.remove(removals)).toEqual(new Map());
    expect(await serves("n0.example.com")).not.toBe(first.serial);
    await expectServed(others);
    expect(stunnel.reloads()).toBe(2);
    expect([...onDisk().keys()]).toEqual(
      [...others.map(({ id }) => join(stunnel.certDir, `${id}.pem`)), stunnel.services].sort(),
    );
    await target.remove(removals);
    expect(stunnel.reloads()).toBe(2);
    await stunnel.restart();
    await expectServed(others);
  });

  it("keeps a PEM that a service of another's uses", async () => {
    const one = await bundle("a.example.com");
    await target.put([one]);
    const pem = join(stunnel.certDir, "a.example.com.pem");
    const rest = `[own]\nsni = https:own.example\ncert = ${pem}\nconnect = ${stunnel.connect}\n`;
    writeFileSync(join(dirname(stunnel.services), "z.conf"), rest);
    await target.remove([one]);
    expect(existsSync(pem)).toBe(true);
    await stunnel.restart();
    expect(await serves("own.example")).toBe(one.serial);
  });
});

describe("a refusal", () => {
  it("is taken back, with stunnel's own words, and the next batch is served", async () => {
    const first = await bundles(3);
    await target.put(first);
    const before = onDisk();
    beforeReload = () =>
      writeFileSync(join(stunnel.certDir, "n1.example.com.pem"), "broken after the trial\n");
    const renewed = [...(await bundles(3)), await bundle("new.example.com")];
    const error = await fault(target.put(renewed));
    expect(error).toMatchObject({ code: "target_refused", disposition: "node" });
    expect(error.message).toContain("certherd-n1.example.com");
    expect(onDisk()).toEqual(before);
    await waitUntil(() => stunnel.reloads() === 3, { what: "the second signal" });
    await expectServed(first);
    await stunnel.restart();
    await expectServed(first);
    expect(await target.put(renewed)).toEqual(new Map());
    await expectServed(renewed);
  });

  it("of the first batch of all leaves no service behind", async () => {
    const file = join(dirname(stunnel.services), "z.conf");
    beforeReload = () => writeFileSync(file, "an unfinished line of somebody else's\n");
    const one = await bundle("a.example.com");
    const error = await fault(target.put([one]));
    expect(error.message).toContain("z.conf:1");
    expect(text(stunnel.services)).not.toContain("[");
    expect(readdirSync(stunnel.certDir).filter((name) => name.endsWith(".pem"))).toEqual([]);
  });

  it("of a removal leaves the certificate in use", async () => {
    const one = await bundle("a.example.com");
    await target.put([one]);
    const before = onDisk();
    beforeReload = () => writeFileSync(join(dirname(stunnel.services), "z.conf"), "unfinished\n");
    await fault(target.remove([one]));
    renameSync(join(dirname(stunnel.services), "z.conf"), join(dirname(stunnel.config), "z.conf"));
    expect(onDisk()).toEqual(before);
    await stunnel.restart();
    await expectServed([one]);
  });

  it("is found without a log too, and tried out for its reason", async () => {
    await stunnel.stop();
    stunnel = await startStunnel({ log: false });
    let now = 0;
    // Time passes with each look at it, so that nothing is waited for.
    target = targetOf({}, { now: () => (now += 8_000) });
    beforeReload = () => writeFileSync(join(stunnel.certDir, "a.example.com.pem"), "broken\n");
    const error = await fault(target.put([await bundle("a.example.com")]));
    expect(error).toMatchObject({ code: "target_refused", disposition: "node" });
    expect(error.message).toContain("certherd-a.example.com");
    expect(text(stunnel.services)).not.toContain("a.example.com");
  });
});

describe("after a crash", () => {
  /** Dies where stunnel would be told. */
  async function crash(doing: () => Promise<unknown>): Promise<void> {
    beforeReload = () => {
      throw new Error("killed");
    };
    await expect(doing()).rejects.toThrow("killed");
    target = targetOf();
  }

  it("between writing and telling, the same batch is told", async () => {
    const all = await bundles(3);
    await crash(() => target.put(all));
    expect(text(stunnel.services)).toContain("n2.example.com");
    expect(await serves("n2.example.com")).not.toBe(all[2]?.serial);
    await target.put(all);
    await expectServed(all);
    expect(stunnel.reloads()).toBe(1);
    expect(onDisk().size).toBe(4);
  });

  it("of a renewal, and a refusal after that, what was served last is gone back to", async () => {
    const first = await bundles(2);
    await target.put(first);
    const before = onDisk();
    const renewed = await bundles(2);
    await crash(() => target.put(renewed));
    beforeReload = () => writeFileSync(join(stunnel.certDir, "n1.example.com.pem"), "broken\n");
    await fault(target.put([...renewed, await bundle("new.example.com")]));
    expect(onDisk()).toEqual(before);
    await stunnel.restart();
    await expectServed(first);
  });

  it("with PEMs renamed and nothing else, the batch is told", async () => {
    const first = await bundles(2);
    await target.put(first);
    const [one] = await bundles(1);
    if (!one) throw new Error("too few");
    const work = join(dirname(stunnel.services), ".certherd-certherd.conf");
    linkSync(stunnel.services, join(work, "services.former"));
    writeFileSync(join(stunnel.certDir, `${one.id}.pem`), one.keyPem + one.leafPem + one.issuersPem);
    await target.put([one]);
    expect(await serves("n0.example.com")).toBe(one.serial);
    expect(stunnel.reloads()).toBe(2);
  });

  it("between telling and noting it, there is one reload too many rather than one too few", async () => {
    const all = await bundles(2);
    await target.put(all);
    const former = join(dirname(stunnel.services), ".certherd-certherd.conf", "services.former");
    linkSync(stunnel.services, former);
    await target.put(all);
    await waitUntil(() => stunnel.reloads() === 2, { what: "the second reload" });
    expect(existsSync(former)).toBe(false);
    await expectServed(all);
  });

  it("with staged files left over, nothing of them is used or stays", async () => {
    const work = join(stunnel.certDir, ".certherd-certherd.conf");
    mkdirSync(work, { recursive: true });
    for (const name of ["old.example.com.new", "old.example.com.former"])
      writeFileSync(join(work, name), "half");
    await target.put([await bundle("a.example.com")]);
    expect([...onDisk().keys()]).toEqual(
      [join(stunnel.certDir, "a.example.com.pem"), stunnel.services].sort(),
    );
  });

  it("between a removal and its files, the files go", async () => {
    const one = await bundle("a.example.com");
    await target.put([one]);
    await crash(() => target.remove([one]));
    expect(existsSync(join(stunnel.certDir, "a.example.com.pem"))).toBe(true);
    await target.remove([one]);
    expect(await serves("a.example.com")).not.toBe(one.serial);
    expect([...onDisk().keys()]).toEqual([stunnel.services]);
  });
});

describe("a node that cannot", () => {
  it("is told apart before anything is changed", async () => {
    const one = await bundle("a.example.com");
    const before = onDisk();
    const refused = async (changed: Partial<StunnelTarget>): Promise<AppError> =>
      await fault(targetOf(changed).put([one]));
    expect(await refused({ pidFile: "/nonexistent/stunnel.pid" })).toMatchObject({
      code: "node_unreachable",
      disposition: "unavailable",
    });
    const own = join(dirname(stunnel.config), "own.pid");
    writeFileSync(own, `${process.pid}\n`);
    expect((await refused({ pidFile: own })).message).toContain("and not stunnel");
    const noMaster = await refused({ master: "other" });
    expect(noMaster).toMatchObject({ code: "node_misconfigured", disposition: "node" });
    expect(noMaster.message).toContain('"[other]"');
    const notIncluded = await refused({ services: join(dirname(stunnel.config), "certherd.conf") });
    expect(notIncluded.message).toContain(`include = ${dirname(stunnel.config)}`);
    expect((await refused({ certDir: dirname(stunnel.services) })).code).toBe("node_misconfigured");
    expect((await refused({ program: "/nonexistent/stunnel" })).message).toContain("/nonexistent/stunnel");
    await stunnel.halt();
    expect((await refused({})).code).toBe("node_unreachable");
    expect([...onDisk().keys()].filter((path) => path.endsWith(".pem") || path === stunnel.services)).toEqual(
      [],
    );
    expect(before.size).toBe(0);
    expect(noted).toBe(0);
  });

  it("has a file of services that somebody has edited", async () => {
    await target.put([await bundle("a.example.com")]);
    writeFileSync(stunnel.services, `${text(stunnel.services)}TIMEOUTidle = 10\n`);
    const before = onDisk();
    const error = await fault(target.put([await bundle("b.example.com")]));
    expect(error).toMatchObject({ code: "node_misconfigured", disposition: "node" });
    expect(error.message).toContain("Line 9 of");
    expect(onDisk()).toEqual(before);
  });

  it("lacks a PEM of another certificate", async () => {
    await target.put([await bundle("a.example.com")]);
    const pem = join(stunnel.certDir, "a.example.com.pem");
    renameSync(pem, `${pem}.away`);
    const error = await fault(target.put([await bundle("b.example.com")]));
    expect(error.message).toContain(pem);
    expect(stunnel.reloads()).toBe(1);
    await target.put([await bundle("a.example.com")]);
    expect(stunnel.reloads()).toBe(2);
  });
});

it("keeps to the pace that is set", async () => {
  expect(await targetOf({ reloadEvery: 7_000 }).rest()).toBe(7_000);
});

describe("examine", () => {
  const all = async (one: Target): Promise<Examined[]> => {
    const found: Examined[] = [];
    for await (const each of one.examine()) found.push(each);
    return found;
  };

  it("finds everything in its place, and changes nothing", async () => {
    await target.put(await bundles(2));
    const before = onDisk();
    const found = await all(target);
    expect(found.filter(({ ok }) => !ok)).toEqual([]);
    const details = found.map(({ detail }) => detail).join("\n");
    expect(details).toContain(`process ${stunnel.pid()}`);
    expect(details).toMatch(/stunnel 5\.\d+/);
    expect(details).toContain(`2 in ${stunnel.services}`);
    expect(onDisk()).toEqual(before);
  });

  it("says what is wrong with each", async () => {
    const wrong = { pidFile: "/nonexistent/pid", program: "/nonexistent/stunnel", master: "other" };
    const found = await all(targetOf(wrong));
    expect(found.filter(({ ok }) => !ok).map(({ what }) => what)).toEqual([
      "stunnel program",
      "stunnel process",
      "stunnel configuration",
    ]);
  });
});
