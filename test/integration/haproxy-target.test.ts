/** Certificates brought to the real HAProxy: what it serves, what is on disk, and what a crash or another client leaves. */
import {
  chmodSync,
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { HaproxyTarget } from "../../src/config/terminations.ts";
import { AppError } from "../../src/core/errors.ts";
import type { Bundle, Examined, Target } from "../../src/deploy/target.ts";
import { createHaproxyTarget } from "../../src/deploy/targets/haproxy/target.ts";
import { isServed, served } from "../../src/deploy/verify.ts";
import { bundleMaker } from "../support/bundles.ts";
import { makeTestCa, type TestCa } from "../support/chains.ts";
import { type Haproxy, type HaproxyOptions, startHaproxy } from "../support/haproxy.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";

let ca: TestCa;
let haproxy: Haproxy;
let target: Target;
const { bundle, bundles } = bundleMaker(() => ca);

beforeAll(async () => {
  ca = await makeTestCa();
});

afterAll(() => ca.stop());

beforeEach(async () => {
  haproxy = await startHaproxy();
  target = targetOf();
});

afterEach(async () => await haproxy.stop());

function targetOf(changed: Partial<HaproxyTarget> = {}): Target {
  const { socket, crtList, certDir } = haproxy;
  return createHaproxyTarget({ kind: "haproxy", socket, crtList, certDir, timeout: 5_000, ...changed });
}

async function restartWith(options: HaproxyOptions): Promise<void> {
  await haproxy.stop();
  haproxy = await startHaproxy(options);
  target = targetOf();
}

function file(id: string): string {
  return join(haproxy.certDir, `${id}.pem`);
}

function pem({ leafPem, issuersPem, keyPem }: Bundle): string {
  return leafPem + issuersPem + keyPem;
}

function list(): string {
  return readFileSync(haproxy.crtList, "utf8");
}

/** In the crt-list, in memory and on disk alike. */
async function listedTwice(id: string): Promise<boolean[]> {
  const inMemory = await haproxy.command(`show ssl crt-list ${haproxy.crtList}\n`);
  return [inMemory, list()].map((text) => text.split(file(id)).length > 2);
}

async function expectServed(all: readonly Bundle[]): Promise<void> {
  for (const { names, serial } of all)
    for (const name of names) expect(await haproxy.serial(name.replace("*", "any")), name).toBe(serial);
}

async function expectNotServed(one: Bundle): Promise<void> {
  for (const name of one.names) expect(await haproxy.serial(name)).not.toBe(one.serial);
}

async function uptime(): Promise<number> {
  return Number(/^Uptime_sec: (\d+)$/m.exec(await haproxy.command("show info\n"))?.[1]);
}

async function fault(doing: Promise<unknown>): Promise<AppError> {
  const error = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof AppError) return error;
  throw new Error("no AppError was thrown", { cause: error });
}

/** By path, with what tells that it was written again. */
function files(): Map<string, string> {
  const paths = [haproxy.crtList, ...readdirSync(haproxy.certDir).map((name) => join(haproxy.certDir, name))];
  return new Map(
    paths.sort().map((path) => {
      const { ino, mtimeMs, mode } = statSync(path);
      return [path, `${ino} ${mtimeMs} ${mode}`];
    }),
  );
}

/** Stands between target and socket, and notes what is sent; `answer` may stand in for HAProxy. */
async function between(
  answer: (command: string) => string | undefined | Promise<undefined> = () => undefined,
): Promise<{ socket: string; sent: string[]; stop(): void }> {
  const socket = join(tempDir("certherd-between"), "socket");
  const sent: string[] = [];
  const server: Server = createServer((client) => {
    const real = connect(haproxy.socket);
    client.setEncoding("utf8").on("data", async (text: string) => {
      sent.push(text.split("\n", 1)[0] ?? "");
      const instead = await answer(text);
      if (instead === undefined) real.write(text);
      else if (instead === "") client.end();
      else client.write(instead);
    });
    real.on("data", (data) => client.write(data));
    for (const end of [client, real])
      end.on("error", () => undefined).on("close", () => [client, real].map((each) => each.destroy()));
  });
  server.listen(socket);
  await waitUntil(() => server.listening);
  return { socket, sent, stop: () => server.close() };
}

describe("a batch", () => {
  it("of 50 is served and then renewed without a reload, and served by the next start too", async () => {
    const pid = haproxy.pid();
    const first = await bundles(50);
    expect(await target.put(first)).toEqual(new Map());
    await expectServed(first);
    const renewed = await bundles(50);
    expect(await target.put(renewed)).toEqual(new Map());
    await expectServed(renewed);
    expect(await haproxy.command("show info\n")).toContain(`Pid: ${pid}\n`);
    expect(list().match(/\.pem$/gm)).toHaveLength(50);
    for (const one of renewed) expect(readFileSync(file(one.id), "utf8")).toBe(pem(one));
    expect(statSync(file("n0.example.com")).mode & 0o777).toBe(0o600);

    await haproxy.restart();
    await expectServed(renewed);
    expect(readdirSync(haproxy.certDir)).toHaveLength(50);
  });

  it("does not start HAProxy's time anew", async () => {
    await waitUntil(async () => (await uptime()) >= 1, { what: "a second of uptime" });
    await target.put(await bundles(2));
    expect(await uptime()).toBeGreaterThanOrEqual(1);
  });

  it("has patterns and several names", async () => {
    const all = [
      await bundle("*.example.com", "example.com"),
      await bundle("www.example.net", "example.net"),
    ];
    expect(await target.put(all)).toEqual(new Map());
    await expectServed(all);
    expect(existsSync(file("_.example.com"))).toBe(true);
    await haproxy.restart();
    await expectServed(all);
  });

  it("that is served already sends nothing but questions, and writes nothing", async () => {
    const { socket, sent, stop } = await between();
    const all = await bundles(3);
    const watched = targetOf({ socket });
    await watched.put(all);
    const changes = (): string[] => sent.filter((command) => /^(new|set|commit|add|del) /.test(command));
    expect(changes()).toHaveLength(12);
    const [before, said] = [files(), sent.length];
    await watched.put(all);
    expect(changes()).toHaveLength(12);
    // Prompt, level, lists, transaction, buffer and the last look, and one question for each certificate.
    expect(sent.length - said).toBe(6 + 3);
    expect(files()).toEqual(before);
    stop();
  });

  it("that is served with other issuers, or none, by somebody's hand is served whole again", async () => {
    const one = await bundle("a.example.com");
    await target.put([one]);
    const isWhole = async (): Promise<boolean> =>
      isServed(
        await served({ address: "127.0.0.1", port: haproxy.port }, "a.example.com", { timeout: 3_000 }),
        one,
      );
    for (const issuers of [ca.rootPem, ""]) {
      const other = (one.leafPem + issuers + one.keyPem).trim();
      await haproxy.command(`set ssl cert ${file(one.id)} <<\n${other}\n\n`);
      await haproxy.command(`commit ssl cert ${file(one.id)}\n`);
      expect(await isWhole()).toBe(false);
      expect(await target.put([one])).toEqual(new Map());
      expect(await isWhole()).toBe(true);
    }
  });

  it("leaves foreign lines, their order, owner and mode alone", async () => {
    const foreign = `# mine\n\n${join(haproxy.dir, "default.pem")} [alpn http/1.1] mine.example   # to the end\n`;
    writeFileSync(haproxy.crtList, foreign);
    chmodSync(haproxy.crtList, 0o640);
    // Only root can have a file that is somebody else's.
    if (process.geteuid?.() === 0) chownSync(haproxy.crtList, 65_534, 65_534);
    const { uid, gid } = statSync(haproxy.crtList);
    await haproxy.restart();
    // HAProxy would not start with a last line that has no end.
    writeFileSync(haproxy.crtList, foreign.trimEnd());
    const [one, two] = await bundles(2);
    if (!one || !two) throw new Error("too few");
    await target.put([one, two]);
    expect(list()).toBe(`${foreign}${file(one.id)}\n${file(two.id)}\n`);
    chmodSync(file(one.id), 0o640);
    await target.put([await bundle("n0.example.com")]);
    expect(statSync(file(one.id)).mode & 0o777).toBe(0o640);
    await target.remove([one]);
    expect(list()).toBe(`${foreign}${file(two.id)}\n`);
    expect(statSync(haproxy.crtList)).toMatchObject({ uid, gid, mode: 0o100640 });
  });

  it("that another crt-list has already is put into ours as well", async () => {
    const other = join(tempDir("certherd-other"), "other.txt");
    const one = await bundle("a.example.com");
    writeFileSync(file(one.id), pem(one));
    writeFileSync(other, `${file(one.id)}\n`);
    await haproxy.stop();
    haproxy = await startHaproxy({ dir: haproxy.dir, bind: `crt-list ${other}` });
    target = targetOf();
    expect(await target.put([one])).toEqual(new Map());
    const inMemory = await haproxy.command(`show ssl crt-list ${haproxy.crtList}\n`);
    for (const text of [inMemory, list()]) expect(text.split(file(one.id))).toHaveLength(2);
  });

  it("finds a line that somebody has written since the last one", async () => {
    const [one, two] = await bundles(2);
    if (!one || !two) throw new Error("too few");
    await target.put([one]);
    writeFileSync(haproxy.crtList, `${list()}# since\n${file(two.id)} [alpn h2]\n`);
    await target.put([two]);
    expect(list().split("\n").slice(-3)).toEqual(["# since", `${file(two.id)} [alpn h2]`, ""]);
  });

  it("has its options in memory and on disk", async () => {
    const one = await bundle("a.example.com");
    await targetOf({ options: "alpn h2,http/1.1 ssl-min-ver TLSv1.3" }).put([one]);
    const line = `${file(one.id)} [alpn h2,http/1.1 ssl-min-ver TLSv1.3]`;
    expect(list()).toContain(`${line}\n`);
    expect(await haproxy.command(`show ssl crt-list ${haproxy.crtList}\n`)).toMatch(
      /pem \[.*ssl-min-ver TLSv1\.3/,
    );
    await haproxy.restart();
    await expectServed([one]);
  });

  it("says so where HAProxy does not take the options", async () => {
    const error = await fault(targetOf({ options: "no-such-word" }).put([await bundle("a.example.com")]));
    expect(error).toMatchObject({ code: "node_misconfigured", disposition: "node" });
    expect(error.message).toContain("no-such-word");
    expect(list()).not.toContain("a.example.com");
  });
});

describe("one certificate of a batch", () => {
  it("that is too large is refused before anything is sent, and the others go on", async () => {
    const [small, large] = [await bundle("a.example.com"), await bundle("large.example.com")];
    large.issuersPem = ca.intermediatePem.repeat(30);
    const { socket, sent, stop } = await between();
    const failures = await targetOf({ socket }).put([large, small]);
    stop();
    expect([...failures.keys()]).toEqual([large.id]);
    expect(failures.get(large.id)).toMatchObject({ code: "bundle_too_large", disposition: "attention" });
    expect(failures.get(large.id)?.message).toMatch(/16384 bytes.*tune\.bufsize \d{5}/);
    expect(sent.filter((command) => command.includes("large"))).toEqual([]);
    await expectServed([small]);
    expect(existsSync(file(large.id))).toBe(false);

    await restartWith({ bufsize: 65_536 });
    expect(await target.put([large])).toEqual(new Map());
    await expectServed([large]);
  });

  it("goes up to the last byte that HAProxy survives", async () => {
    const one = await bundle("edge.example.com");
    const whole = (): number => `set ssl cert ${file(one.id)} <<\n${pem(one)}\n`.length;
    // What stands between two certificates is a remark to OpenSSL.
    const line = `${"x".repeat(99)}\n`;
    const left = 16_383 - whole();
    one.issuersPem += `${line.repeat(Math.floor(left / 100) - 1)}${"x".repeat((left % 100) + 99)}\n`;
    expect(whole()).toBe(16_383);
    const pid = haproxy.pid();
    expect(await target.put([one])).toEqual(new Map());
    await expectServed([one]);
    one.issuersPem = one.issuersPem.replace("x\n", "xx\n");
    expect((await target.put([one])).get(one.id)?.code).toBe("bundle_too_large");
    expect(await haproxy.command("show info\n")).toContain(`Pid: ${pid}\n`);
  });

  it("that HAProxy refuses leaves nothing behind, and the others go on", async () => {
    const [first, bad, broken, last] = await bundles(4);
    if (!first || !bad || !broken || !last) throw new Error("too few");
    const foreign = { ...bad, keyPem: first.keyPem };
    const torn = { ...broken, keyPem: "nothing of a key\n" };
    const failures = await target.put([first, foreign, torn, last]);
    expect([...failures.keys()]).toEqual([bad.id, broken.id]);
    expect(failures.get(bad.id)).toMatchObject({ code: "target_refused", disposition: "attention" });
    expect(failures.get(bad.id)?.message).toContain("inconsistencies between private key and certificate");
    await expectServed([first, last]);
    const inMemory = await haproxy.command("show ssl cert\n");
    for (const { id } of [bad, broken]) {
      expect(inMemory).not.toContain(id);
      expect(existsSync(file(id))).toBe(false);
      expect(list()).not.toContain(id);
    }
    expect(inMemory).not.toContain("transaction");
  });

  it("whose renewal is refused stays what it was", async () => {
    const [one] = await bundles(1);
    const [bad] = await bundles(1);
    if (!one || !bad) throw new Error("too few");
    await target.put([one]);
    expect((await target.put([{ ...bad, keyPem: one.keyPem }])).size).toBe(1);
    await expectServed([one]);
    expect(readFileSync(file(one.id), "utf8")).toBe(pem(one));
  });
});

describe("removal", () => {
  it("takes certificates out of memory and off the disk; what is not there is no failure", async () => {
    const all = await bundles(3);
    await target.put(all);
    const [first, second, last] = all;
    if (!first || !second || !last) throw new Error("too few");
    const removals = [first, second, { id: "never.example.com", names: ["never.example.com"] }];
    expect(await target.remove(removals)).toEqual(new Map());
    await expectNotServed(first);
    await expectServed([last]);
    expect(readdirSync(haproxy.certDir)).toEqual([`${last.id}.pem`]);
    expect(list()).not.toContain(first.id);
    expect(await haproxy.command("show ssl cert\n")).not.toContain(first.id);
    expect(await target.remove(removals)).toEqual(new Map());
    await haproxy.restart();
    await expectServed([last]);
  });

  it("takes every entry that somebody has added", async () => {
    const one = await bundle("a.example.com");
    await target.put([one]);
    await haproxy.command(`add ssl crt-list ${haproxy.crtList} ${file(one.id)}\n`);
    expect(await target.remove([one])).toEqual(new Map());
    await expectNotServed(one);
  });

  it("keeps the file of a certificate that HAProxy uses elsewhere too", async () => {
    const other = join(tempDir("certherd-other"), "other.txt");
    writeFileSync(other, "");
    await restartWith({ bind: `crt-list ${other}` });
    const one = await bundle("a.example.com");
    await target.put([one]);
    await haproxy.command(`add ssl crt-list ${other} ${file(one.id)}\n`);
    const failures = await target.remove([one]);
    expect(failures.get(one.id)).toMatchObject({ code: "target_refused", disposition: "attention" });
    expect(failures.get(one.id)?.message).toContain("elsewhere");
    expect(existsSync(file(one.id))).toBe(true);
    expect(list()).not.toContain(one.id);
  });
});

describe("after a crash", () => {
  const inMemory = async (one: Bundle, ...steps: ("set" | "commit" | "add")[]): Promise<void> => {
    await haproxy.command(`new ssl cert ${file(one.id)}\n`);
    if (steps.includes("set")) await haproxy.command(`set ssl cert ${file(one.id)} <<\n${pem(one)}\n`);
    if (steps.includes("commit")) await haproxy.command(`commit ssl cert ${file(one.id)}\n`);
    if (steps.includes("add")) await haproxy.command(`add ssl crt-list ${haproxy.crtList} ${file(one.id)}\n`);
  };

  it("at any step in memory, the same batch goes to its end", async () => {
    const all = await bundles(4);
    const [created, committed, added, open] = all;
    if (!created || !committed || !added || !open) throw new Error("too few");
    await inMemory(created);
    await inMemory(committed, "set", "commit");
    await inMemory(added, "set", "commit", "add");
    // The last, as it stays open.
    await inMemory(open, "set");
    expect(await target.put(all)).toEqual(new Map());
    await expectServed(all);
    for (const { id } of all) expect(await listedTwice(id)).toEqual([false, false]);
    await haproxy.restart();
    await expectServed(all);
  });

  it("with the disk behind memory, the disk is mended and nothing is added twice", async () => {
    const [one, two] = await bundles(2);
    if (!one || !two) throw new Error("too few");
    await target.put([one, two]);
    writeFileSync(haproxy.crtList, "# empty again\n");
    rmSync(file(one.id));
    await targetOf().put([one, two]);
    expect(list()).toBe(`# empty again\n${file(one.id)}\n${file(two.id)}\n`);
    expect(readFileSync(file(one.id), "utf8")).toBe(pem(one));
    for (const { id } of [one, two]) expect(await listedTwice(id)).toEqual([false, false]);
  });

  it("with a PEM and no line, of which HAProxy knows nothing after a restart", async () => {
    const one = await bundle("a.example.com");
    writeFileSync(file(one.id), pem(one), { mode: 0o600 });
    await haproxy.restart();
    await target.put([one]);
    await expectServed([one]);
    expect(list()).toContain(file(one.id));
  });

  it("of HAProxy, which has started with older files", async () => {
    const [old] = await bundles(1);
    const [renewed] = await bundles(1);
    if (!old || !renewed) throw new Error("too few");
    await target.put([old]);
    await haproxy.kill9();
    await haproxy.restart();
    await target.put([renewed]);
    await expectServed([renewed]);
    expect(await listedTwice(old.id)).toEqual([false, false]);
  });

  it("between a removal in memory and on disk, the rest goes", async () => {
    const one = await bundle("a.example.com");
    await target.put([one]);
    await haproxy.command(`del ssl crt-list ${haproxy.crtList} ${file(one.id)}\n`);
    await haproxy.command(`del ssl cert ${file(one.id)}\n`);
    expect(await targetOf().remove([one])).toEqual(new Map());
    expect(list()).not.toContain(one.id);
    expect(existsSync(file(one.id))).toBe(false);
  });

  it("in the middle of writing, a half file is written over", async () => {
    const one = await bundle("a.example.com");
    await target.put([one]);
    writeFileSync(file(one.id), pem(one).slice(0, 100));
    await target.put([one]);
    expect(readFileSync(file(one.id), "utf8")).toBe(pem(one));
  });
});

describe("another client", () => {
  it("that has a transaction open for a file of its own is left alone", async () => {
    const [own, one] = await bundles(2);
    if (!own || !one) throw new Error("too few");
    const foreign = join(haproxy.dir, "default.pem");
    await haproxy.command(`set ssl cert ${foreign} <<\n${pem(own)}\n`);
    const error = await fault(target.put([one]));
    expect(error).toMatchObject({ code: "node_busy", disposition: "unavailable" });
    expect(error.message).toContain(foreign);
    expect(await haproxy.command("show ssl cert\n")).toContain(`*${foreign}`);
    expect(await haproxy.command(`commit ssl cert ${foreign}\n`)).toContain("Success!");
    expect(await target.put([one])).toEqual(new Map());
    await expectServed([one]);
  });

  it("that opens one in between gets none of our certificates into it", async () => {
    const one = await bundle("a.example.com");
    const foreign = join(haproxy.dir, "default.pem");
    const before = await haproxy.serial("default.invalid");
    let opened = "";
    const { socket, stop } = await between(async (text) => {
      if (text.startsWith("new ssl cert"))
        opened = await haproxy.command(`set ssl cert ${foreign} <<\n${readFileSync(foreign, "utf8")}\n`);
      return undefined;
    });
    const error = await fault(targetOf({ socket }).put([one]));
    stop();
    expect(opened).toContain("Transaction created");
    expect(error).toMatchObject({ code: "node_busy", disposition: "unavailable" });
    await haproxy.command(`commit ssl cert ${foreign}\n`);
    expect(await haproxy.serial("default.invalid")).toBe(before);
    expect(await target.put([one])).toEqual(new Map());
    await expectServed([one]);
  });

  it("of this process takes its turn", async () => {
    const [first, second] = [await bundles(10), await bundles(10)];
    for (const one of second) one.id = `second-${one.id}`;
    expect(await Promise.all([target.put(first), targetOf().put(second)])).toEqual([new Map(), new Map()]);
    expect(list().match(/\.pem$/gm)).toHaveLength(20);
  });
});

describe("a node that cannot", () => {
  it("is told apart, and nothing is changed", async () => {
    const one = await bundle("a.example.com");
    const before = files();
    const refused = async (changed: Partial<HaproxyTarget>): Promise<AppError> =>
      await fault(targetOf(changed).put([one]));
    const unreachable = { code: "node_unreachable", disposition: "unavailable" };
    expect(await refused({ socket: join(haproxy.dir, "none") })).toMatchObject(unreachable);
    expect(await refused({ socket: "127.0.0.1:1" })).toMatchObject(unreachable);
    const other = join(haproxy.dir, "other.txt");
    writeFileSync(other, "");
    const notInUse = await refused({ crtList: other });
    expect(notInUse).toMatchObject({ code: "node_misconfigured", disposition: "node" });
    expect(notInUse.message).toContain(haproxy.crtList);
    rmSync(other);
    expect((await refused({ crtList: other })).message).toContain("not on disk");
    expect((await refused({ certDir: join(haproxy.dir, "default.pem") })).code).toBe("node_misconfigured");
    expect((await refused({ certDir: "/with a blank" })).message).toContain("blank");
    expect(files()).toEqual(before);
    await haproxy.kill9();
    expect(await refused({})).toMatchObject(unreachable);
    expect(await fault(target.remove([one]))).toMatchObject(unreachable);
  });

  it("is reloaded in the middle, and the batch counts as not done", async () => {
    const one = await bundle("a.example.com");
    // As a reload ends the old process: it takes no connections any more, and serves those that it has.
    const { socket, stop } = await between((text) => {
      if (text.startsWith("commit ssl cert")) process.kill(haproxy.pid(), "SIGUSR1");
      return undefined;
    });
    const error = await fault(targetOf({ socket }).put([one]));
    stop();
    expect(error).toMatchObject({ code: "node_busy", disposition: "unavailable" });
    expect(error.message).toContain("reloaded");
    await haproxy.restart();
    expect(await target.put([one])).toEqual(new Map());
    await expectServed([one]);
  });

  it("has a socket that is allowed too little", async () => {
    await restartWith({ level: "operator" });
    const error = await fault(target.put([await bundle("a.example.com")]));
    expect(error).toMatchObject({ code: "node_misconfigured", disposition: "node" });
    expect(error.message).toMatch(/level operator.*level admin/);
  });

  it("does not answer in time, or ends the connection", async () => {
    const one = await bundle("a.example.com");
    const silent = await between((text) => (text.startsWith("set ssl cert") ? "+ " : undefined));
    const late = await fault(targetOf({ socket: silent.socket, timeout: 200 }).put([one]));
    silent.stop();
    expect(late).toMatchObject({ code: "node_unreachable", disposition: "unavailable" });
    expect(late.message).toContain("no answer for 200 ms");
    const closing = await between((text) => (text.startsWith("commit") ? "" : undefined));
    expect((await fault(targetOf({ socket: closing.socket }).put([one]))).message).toContain("was closed");
    closing.stop();
    expect(existsSync(file(one.id))).toBe(false);
    expect(await target.put([one])).toEqual(new Map());
    await expectServed([one]);
  });

  it("answers with anything but the known words", async () => {
    const one = await bundle("a.example.com");
    const empty = await between((text) => (text.startsWith("set ssl cert") ? "\n> " : undefined));
    const failures = await targetOf({ socket: empty.socket }).put([one]);
    empty.stop();
    expect(failures.get(one.id)).toMatchObject({ code: "target_refused", disposition: "attention" });
    expect(existsSync(file(one.id))).toBe(false);
  });
});

it("is spoken to over TCP as well", async () => {
  const port = await freePort();
  await restartWith({ global: [`stats socket 127.0.0.1:${port} level admin`] });
  const one = await bundle("a.example.com");
  expect(await targetOf({ socket: `127.0.0.1:${port}` }).put([one])).toEqual(new Map());
  await expectServed([one]);
});

it("are two nodes on one machine", async () => {
  const second = await startHaproxy();
  const all = await bundles(3);
  const { socket, crtList, certDir } = second;
  const there = targetOf({ socket, crtList, certDir });
  expect(await Promise.all([target.put(all), there.put(all)])).toEqual([new Map(), new Map()]);
  await expectServed(all);
  for (const { names, serial } of all) expect(await second.serial(names[0] ?? "")).toBe(serial);
  await second.stop();
});

describe("examine", () => {
  const all = async (one: Target): Promise<Examined[]> => {
    const found: Examined[] = [];
    for await (const each of one.examine()) found.push(each);
    return found;
  };

  it("finds everything in its place, and changes nothing", async () => {
    await target.put(await bundles(2));
    await haproxy.command(
      `set ssl cert ${file("n0.example.com")} <<\n${pem(await bundle("n0.example.com"))}\n`,
    );
    const before = files();
    const found = await all(target);
    expect(found.filter(({ ok }) => !ok)).toEqual([]);
    const details = found.map(({ detail }) => detail).join("\n");
    expect(details).toMatch(/HAProxy \d\.\d/);
    expect(details).toContain(`process ${haproxy.pid()}`);
    expect(details).toContain("16384 bytes");
    expect(details).toContain("names 2 certificates");
    expect(details).toContain(`one is open for ${file("n0.example.com")}`);
    expect(details).toContain("mode 0700");
    expect(files()).toEqual(before);
    expect(await haproxy.command("show ssl cert\n")).toContain("*");
  });

  it("says what is wrong with each", async () => {
    const wrong = async (one: Target): Promise<string[]> =>
      (await all(one)).filter(({ ok }) => !ok).map(({ what }) => what);
    chmodSync(haproxy.certDir, 0o777);
    expect(await wrong(targetOf({ crtList: join(haproxy.dir, "none") }))).toEqual([
      "haproxy crt-list",
      "haproxy crt-list file",
      "haproxy folder",
    ]);
    await haproxy.command(
      `set ssl cert ${join(haproxy.dir, "default.pem")} <<\n${pem(await bundle("d.example"))}\n`,
    );
    expect(await wrong(target)).toContain("haproxy transaction");
    await restartWith({ level: "user", bufsize: 8_192 });
    expect(await wrong(target)).toEqual(["haproxy level"]);
    await restartWith({ bufsize: 8_192 });
    expect(await wrong(target)).toEqual(["haproxy tune.bufsize"]);
    await haproxy.kill9();
    expect(await wrong(target)).toEqual(["haproxy socket"]);
  });
});
