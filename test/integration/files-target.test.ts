import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { FilesTarget } from "../../src/config/terminations.ts";
import type { Bundle, Examined } from "../../src/deploy/target.ts";
import { createFilesTarget } from "../../src/deploy/targets/files.ts";
import { makeBundle, makeRenewal } from "../support/bundles.ts";
import { makeTestCa, type TestCa } from "../support/chains.ts";
import { tempDir } from "../support/temp.ts";

/** nobody, on every Linux. */
const NOBODY = 65_534;
const isRoot = process.geteuid?.() === 0;
const dir = tempDir("certherd-files-target");
let ca: TestCa;
let first: Bundle;
let renewed: Bundle;
let second: Bundle;
let folder: string;
let tests = 0;

beforeAll(async () => {
  ca = await makeTestCa();
  ({ first, renewed, second } = await makeRenewal(ca));
});

afterAll(() => ca.stop());

beforeEach(() => {
  folder = join(dir, `${tests++}`);
  mkdirSync(folder);
});

function configOf(changes: Partial<FilesTarget> = {}): FilesTarget {
  return { kind: "files", folder, format: "pem", mode: "0600", timeout: 10_000, ...changes };
}

function targetOf(changes: Partial<FilesTarget> = {}) {
  return createFilesTarget(configOf(changes));
}

/** A program that writes a line into `log` each time, with its arguments and the names in the folder. */
function reloader(body = ""): { reload: string[]; runs(): string[] } {
  const [program, log] = [join(dir, `reload-${tests}.sh`), join(dir, `reload-${tests}.log`)];
  writeFileSync(program, `#!/bin/sh\necho "$@" $(ls ${folder}) >> ${log}\n${body}\n`, { mode: 0o755 });
  return {
    reload: [program, "$(touch /nowhere) `x`", "two"],
    runs: () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []),
  };
}

function read(name: string): string {
  return readFileSync(join(folder, name), "utf8");
}

function modeOf(name: string): string {
  return (statSync(join(folder, name)).mode & 0o7777).toString(8);
}

async function examineAll(changes: Partial<FilesTarget>): Promise<Examined[]> {
  const found: Examined[] = [];
  for await (const each of targetOf(changes).examine()) found.push(each);
  return found;
}

it("puts key, leaf and chain into one file", async () => {
  expect(await targetOf().put([first, second])).toEqual(new Map());
  expect(readdirSync(folder).sort()).toEqual(["_.a.example.pem", "b.example.pem"]);
  expect(read("_.a.example.pem")).toBe(first.keyPem + first.leafPem + first.issuersPem);
  expect(modeOf("_.a.example.pem")).toBe("600");
});

it("puts them into separate files", async () => {
  await targetOf({ format: "separate", mode: "0640" }).put([second]);
  expect(readdirSync(folder).sort()).toEqual([
    "b.example.ca.cer",
    "b.example.cer",
    "b.example.fullchain.cer",
    "b.example.key",
  ]);
  expect(read("b.example.key")).toBe(second.keyPem);
  expect(read("b.example.cer")).toBe(second.leafPem);
  expect(read("b.example.ca.cer")).toBe(second.issuersPem);
  expect(read("b.example.fullchain.cer")).toBe(second.leafPem + second.issuersPem);
  expect(modeOf("b.example.key")).toBe("640");
});

it("does not put a chain where another's leaf is, nor takes it away", async () => {
  const target = targetOf({ format: "separate" });
  const canadian = await makeBundle(ca, ["b.example.ca"], "78");
  await target.put([second]);
  const failures = await target.put([canadian]);
  expect(failures.get(canadian.id)).toMatchObject({ code: "target_refused", disposition: "attention" });
  await target.remove([canadian]);
  expect(read("b.example.ca.cer")).toBe(second.issuersPem);
  await target.remove([second]);
  expect(await target.put([canadian])).toEqual(new Map());
  expect([...(await target.put([second])).keys()]).toEqual([second.id]);
  expect(read("b.example.ca.cer")).toBe(canadian.leafPem);
});

it("leaves files alone that are as they should be", async () => {
  await targetOf().put([first, second]);
  const inode = (name: string) => statSync(join(folder, name)).ino;
  const before = [inode("_.a.example.pem"), inode("b.example.pem")];
  await targetOf().put([renewed, second]);
  expect(inode("_.a.example.pem")).not.toBe(before[0]);
  expect(inode("b.example.pem")).toBe(before[1]);
  expect(read("_.a.example.pem")).toContain(renewed.leafPem);
});

it("mends a mode that is another than the configured one", async () => {
  await targetOf().put([second]);
  chmodSync(join(folder, "b.example.pem"), 0o644);
  await targetOf().put([second]);
  expect(modeOf("b.example.pem")).toBe("600");
});

it("takes away what is there, and leaves no file of its own", async () => {
  const { reload } = reloader();
  const target = targetOf({ reload });
  await target.put([first, second]);
  expect(await target.remove([first, { id: "none.example", names: ["none.example"] }])).toEqual(new Map());
  expect(readdirSync(folder)).toEqual(["b.example.pem"]);
});

it("clears up what a crash has left, and follows no link that stands in its way", async () => {
  const tag = createHash("sha256").update("b.example.pem").digest("hex").slice(0, 32);
  const victim = join(dir, "victim");
  writeFileSync(victim, "as it was");
  symlinkSync(victim, join(folder, `.certherd-${tag}`));
  await targetOf().put([second]);
  expect(readdirSync(folder)).toEqual(["b.example.pem"]);
  expect(readFileSync(victim, "utf8")).toBe("as it was");
});

it("leaves no key behind where it cannot be put into place", async () => {
  mkdirSync(join(folder, "b.example.key"));
  await expect(targetOf({ format: "separate" }).put([second])).rejects.toMatchObject({
    code: "disk_unavailable",
    disposition: "unavailable",
  });
  expect(readdirSync(folder)).toEqual(["b.example.key"]);
});

describe("the reload", () => {
  it("is run once for a batch that changed something, with its arguments as they are", async () => {
    const { reload, runs } = reloader();
    const target = targetOf({ reload });
    await target.put([first, second]);
    expect(runs()).toEqual(["$(touch /nowhere) `x` two _.a.example.pem b.example.pem"]);
    await target.put([first, second]);
    expect(runs()).toHaveLength(1);
    await target.remove([first]);
    expect(runs()).toHaveLength(2);
    await target.remove([first]);
    expect(runs()).toHaveLength(2);
  });

  it("is run again, with nothing changed, until it has ended well", async () => {
    const broken = reloader('echo one; printf "two\\033[31m\\n" >&2; exit 3');
    await expect(targetOf({ reload: broken.reload }).put([first])).rejects.toMatchObject({
      code: "command_failed",
      disposition: "node",
      message: expect.stringMatching(/ended with exit code 3\. It said: one\ntwo \[31m\./),
    });
    const { reload, runs } = reloader();
    await targetOf({ reload }).put([first]);
    expect(runs()).toHaveLength(2);
    await targetOf({ reload }).put([first]);
    expect(runs()).toHaveLength(2);
    expect(readdirSync(folder)).toEqual(["_.a.example.pem"]);
  });

  it("is ended at its time limit", async () => {
    const { reload } = reloader("sleep 100");
    await expect(targetOf({ reload, timeout: 200 }).put([first])).rejects.toMatchObject({
      code: "command_failed",
      message: expect.stringContaining("did not end within 0.2 s"),
    });
  });

  it("is this node's fault where its program is not there", async () => {
    await expect(targetOf({ reload: [join(dir, "none")] }).put([first])).rejects.toMatchObject({
      code: "node_misconfigured",
      disposition: "node",
    });
  });
});

describe("owner and group", () => {
  it.runIf(isRoot)("are set, by name and by number", async () => {
    await targetOf({ owner: "nobody", group: String(NOBODY), mode: "0440" }).put([second]);
    const { uid, gid } = statSync(join(folder, "b.example.pem"));
    expect([uid, gid, modeOf("b.example.pem")]).toEqual([NOBODY, NOBODY, "440"]);
    await targetOf({ owner: "root", mode: "0440" }).put([second]);
    expect(statSync(join(folder, "b.example.pem")).uid).toBe(0);
  });

  it("that nobody knows are this node's fault", async () => {
    for (const changes of [{ owner: "no-such-user" }, { group: "no-such-group" }])
      await expect(targetOf(changes).put([second])).rejects.toMatchObject({
        code: "node_misconfigured",
        disposition: "node",
      });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("cannot be another's where this process is not root's", async () => {
    await asNobody(async () => {
      await expect(targetOf({ owner: "root" }).put([second])).rejects.toMatchObject({
        code: "node_misconfigured",
        disposition: "node",
        message: expect.stringContaining("Only root"),
      });
      await expect(targetOf({ group: "0" }).put([second])).rejects.toMatchObject({
        code: "node_misconfigured",
        message: expect.stringContaining("cannot be given to 0"),
      });
      expect(readdirSync(folder)).toEqual([]);
      const us = process.geteuid?.();
      expect(await targetOf({ owner: String(us) }).put([second])).toEqual(new Map());
    });
  });

  async function asNobody(work: () => Promise<void>): Promise<void> {
    if (!isRoot) return await work();
    chmodSync(dir, 0o711);
    chownSync(folder, NOBODY, NOBODY);
    process.setegid?.(NOBODY);
    process.seteuid?.(NOBODY);
    try {
      await work();
    } finally {
      process.seteuid?.(0);
      process.setegid?.(0);
    }
  }
});

it("makes no folder of its own: whoever reads it needs rights there", async () => {
  await expect(targetOf({ folder: join(dir, "none") }).put([second])).rejects.toMatchObject({
    code: "node_misconfigured",
    disposition: "node",
  });
  expect(existsSync(join(dir, "none"))).toBe(false);
});

describe("examine", () => {
  it("finds all well, and changes nothing", async () => {
    const changes = { owner: String(process.geteuid?.()), group: "root", reload: ["sh", "-c", "true"] };
    expect((await examineAll(changes)).map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("tells what is wrong, each by itself", async () => {
    const found = await examineAll({
      folder: join(dir, "none"),
      owner: "no-such-user",
      reload: ["no-such-program"],
    });
    expect(found.map(({ what, ok }) => [what, ok])).toEqual([
      ["folder", false],
      ["owner", false],
      ["reload program", false],
    ]);
  });
});
