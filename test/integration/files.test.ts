/** The certificates on disk: what a crash may leave, and who may read it. */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { type CertificateRecord, certificateId, namesKey } from "../../src/core/certificate.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { type CertificateFile, CertificateFiles, certificateFile, fileStem } from "../../src/store/files.ts";
import { makeTestCa } from "../support/chains.ts";
import { makeSpec } from "../support/specs.ts";
import { tempDir, waitUntil } from "../support/temp.ts";

const NOW = Date.UTC(2026, 7, 28, 14, 0, 0);
const NAME = "a.example";
const ORDER = { generation: 1, orderUrl: "https://ca/order/1", ca: "inhouse" };

let home: string;
let files: CertificateFiles;

beforeEach(() => {
  home = tempDir("certherd-files");
  files = new CertificateFiles(home);
});

function fileOf(name: string, serial: string): CertificateFile {
  const record: CertificateRecord = {
    id: certificateId(name),
    spec: {
      names: [name],
      vipPort: 443,
      acmePort: 8888,
      keyType: "ec256",
      challenge: "http-01",
      priority: 50,
    },
    status: "issued",
    attempts: 0,
    generation: 1,
    acceptedAt: NOW,
    orderUrl: "https://ca/order/1",
    leaf: { notBefore: NOW, notAfter: NOW + 90_000, issuer: "E7", serial, renewAt: NOW + 60_000 },
  };
  return certificateFile(record, {
    ca: "inhouse",
    directory: "https://ca/dir",
    orderUrl: "https://ca/order/1",
  });
}

/** Puts a whole set into place: every file of it says which one it is of. */
async function issue(name: string, set: string): Promise<void> {
  const id = certificateId(name);
  await files.pendingKey(id, async () => `${set} key\n`);
  await files.commit(id, { leafPem: `${set} leaf\n`, issuersPem: `${set} ca\n`, file: fileOf(name, set) });
}

/** What stands in place, by the set that it is of. */
function inPlace(name: string): Record<string, string> {
  const { cert, key, ca, fullchain, json } = files.paths(certificateId(name));
  return {
    cert: readFileSync(cert, "utf8"),
    key: readFileSync(key, "utf8"),
    ca: readFileSync(ca, "utf8"),
    fullchain: readFileSync(fullchain, "utf8"),
    serial: (JSON.parse(readFileSync(json, "utf8")) as CertificateFile).leaf?.serial ?? "",
  };
}

function wholeSet(set: string): Record<string, string> {
  const [leaf, ca] = [`${set} leaf\n`, `${set} ca\n`];
  return { cert: leaf, key: `${set} key\n`, ca, fullchain: leaf + ca, serial: set };
}

function next(name: string): string {
  return join(files.folder(certificateId(name)), ".next");
}

/** What `commit` writes before it moves anything: all of it, or without its last file. */
function stage(name: string, set: string, { complete }: { complete: boolean }): void {
  mkdirSync(next(name), { recursive: true });
  const parts = { "key.pem": "key", "cert.pem": "leaf", "ca.pem": "ca" };
  for (const [file, part] of Object.entries(parts)) writeFileSync(join(next(name), file), `${set} ${part}\n`);
  writeFileSync(join(next(name), "fullchain.pem"), `${set} leaf\n${set} ca\n`);
  writeFileSync(join(next(name), "order.json"), JSON.stringify(ORDER));
  if (complete) writeFileSync(join(next(name), "certificate.json"), JSON.stringify(fileOf(name, set)));
}

async function all(): Promise<CertificateFile[]> {
  const found: CertificateFile[] = [];
  for await (const file of files.all()) found.push(file);
  return found.sort((a, b) => a.name.localeCompare(b.name));
}

describe("an issued certificate", () => {
  it("stands in acme.sh's layout, and nothing of its making is left", async () => {
    await files.savePendingOrder(NAME, ORDER);
    await issue(NAME, "first");
    const folder = join(home, "certificates", "a.example");
    expect(readdirSync(folder).sort()).toEqual([
      "a.example.cer",
      "a.example.key",
      "ca.cer",
      "certificate.json",
      "fullchain.cer",
    ]);
    expect(inPlace(NAME)).toEqual(wholeSet("first"));
    expect(await files.read(NAME)).toEqual(fileOf(NAME, "first"));
  });

  it("keeps its key and its folders to this user, whatever the umask", async () => {
    const umask = process.umask(0);
    try {
      await files.savePendingOrder(NAME, ORDER);
      await files.pendingKey(NAME, async () => "first key\n");
      const mode = (path: string): number => statSync(path).mode & 0o777;
      expect(mode(join(next(NAME), "key.pem"))).toBe(0o600);
      expect(mode(join(next(NAME), "order.json"))).toBe(0o600);
      expect(mode(next(NAME))).toBe(0o700);
      await issue(NAME, "first");
      const { key, cert, json } = files.paths(NAME);
      expect([mode(key), mode(cert), mode(json)]).toEqual([0o600, 0o644, 0o644]);
      for (const path of [files.folder(NAME), files.root]) expect(mode(path)).toBe(0o700);
    } finally {
      process.umask(umask);
    }
  });

  it("is replaced as a whole by its successor", async () => {
    await issue(NAME, "first");
    await issue(NAME, "second");
    expect(inPlace(NAME)).toEqual(wholeSet("second"));
  });

  it("of a wildcard stands in a folder that begins with an underscore", async () => {
    await issue("*.example.com", "first");
    expect(readdirSync(files.root)).toEqual(["_.example.com"]);
    expect(inPlace("*.example.com")).toEqual(wholeSet("first"));
    expect((await all()).map(({ name }) => name)).toEqual(["*.example.com"]);
  });

  it("may have the longest of names; two that differ at their end stay apart", async () => {
    const stem = `${"a".repeat(63)}.`.repeat(3);
    const names = [`${stem}${"b".repeat(57)}.com`, `${stem}${"b".repeat(57)}.org`];
    expect(names.map((name) => name.length)).toEqual([253, 253]);
    for (const [i, name] of names.entries()) await issue(name, `set ${i}`);
    for (const [i, name] of names.entries()) {
      expect(inPlace(name)).toEqual(wholeSet(`set ${i}`));
      expect((await files.read(name))?.name).toBe(name);
    }
    expect((await all()).map(({ name }) => name)).toEqual(names);
  });

  it("has its own name for a stem, unless that would be too long for a file system", () => {
    expect(fileStem("a".repeat(240))).toBe("a".repeat(240));
    expect(fileStem("a".repeat(241))).toHaveLength(233);
  });

  it("keeps its files while a later attempt fails", async () => {
    await issue(NAME, "first");
    const failed: CertificateFile = {
      ...fileOf(NAME, "first"),
      status: "attention",
      reason: "person",
      attempts: 1,
    };
    await files.saveState(NAME, failed);
    expect(await files.read(NAME)).toEqual(failed);
    expect(inPlace(NAME)).toEqual(wholeSet("first"));
  });
});

describe("after a crash", () => {
  it("a set that was staged as a whole is moved into place", async () => {
    await issue(NAME, "old");
    stage(NAME, "new", { complete: true });
    expect((await all()).map(({ leaf }) => leaf?.serial)).toEqual(["new"]);
    expect(inPlace(NAME)).toEqual(wholeSet("new"));
    expect(existsSync(next(NAME))).toBe(false);
  });

  it.each([1, 2, 3, 4])("a set of which %d files were moved is moved to its end", async (moved) => {
    await issue(NAME, "old");
    stage(NAME, "new", { complete: true });
    const { key, cert, ca, fullchain } = files.paths(NAME);
    const moves = [
      ["key.pem", key],
      ["cert.pem", cert],
      ["ca.pem", ca],
      ["fullchain.pem", fullchain],
    ] as const;
    for (const [from, to] of moves.slice(0, moved)) renameSync(join(next(NAME), from), to);
    await files.finishCommit(NAME);
    expect((await files.read(NAME))?.leaf?.serial).toBe("new");
    expect(inPlace(NAME)).toEqual(wholeSet("new"));
    await all();
    expect(inPlace(NAME)).toEqual(wholeSet("new"));
  });

  it("a set that is not whole is left out, and the old one stays", async () => {
    await issue(NAME, "old");
    stage(NAME, "new", { complete: false });
    expect((await all()).map(({ leaf }) => leaf?.serial)).toEqual(["old"]);
    expect(inPlace(NAME)).toEqual(wholeSet("old"));
    // The order that it is of can still be taken up, with its key.
    expect(await files.pendingOrder(NAME)).toEqual(ORDER);
    expect(await files.existingPendingKey(NAME)).toBe("new key\n");
  });

  it("a certificate that was never whole is none", async () => {
    stage(NAME, "new", { complete: false });
    expect(await all()).toEqual([]);
    expect(await files.read(NAME)).toBeUndefined();
  });

  it("files that are not ours, or not readable, are no certificates", async () => {
    await issue(NAME, "first");
    writeFileSync(join(files.root, "README"), "notes");
    mkdirSync(join(files.root, "other"));
    mkdirSync(join(files.root, "broken"));
    writeFileSync(join(files.root, "broken", "certificate.json"), '{"version": 1, "na');
    expect((await all()).map(({ name }) => name)).toEqual([NAME]);
  });

  it("a home without any certificate has none", async () => {
    expect(await all()).toEqual([]);
  });
});

describe("what is being obtained", () => {
  it("has one key, whoever of several asks for it first", async () => {
    let made = 0;
    const keys = await Promise.all(
      Array.from({ length: 20 }, () => files.pendingKey(NAME, async () => `key ${made++}\n`)),
    );
    expect(new Set(keys).size).toBe(1);
    expect(await files.existingPendingKey(NAME)).toBe(keys[0]);
    expect(await files.pendingKey(NAME, async () => "another\n")).toBe(keys[0]);
    expect(readdirSync(next(NAME))).toEqual(["key.pem"]);
  });

  it("is thrown away with its order and key, and can be begun anew", async () => {
    await issue(NAME, "old");
    await files.savePendingOrder(NAME, ORDER);
    await files.pendingKey(NAME, async () => "key\n");
    await files.discardPending(NAME);
    await files.discardPending(NAME);
    expect(existsSync(next(NAME))).toBe(false);
    expect(await files.pendingOrder(NAME)).toBeUndefined();
    expect(await files.existingPendingKey(NAME)).toBeUndefined();
    expect(await files.pendingKey(NAME, async () => "new key\n")).toBe("new key\n");
    expect(inPlace(NAME)).toEqual(wholeSet("old"));
  });

  it("is thrown away by several at once without harm", async () => {
    for (let i = 0; i < 20; i++) {
      await files.savePendingOrder(NAME, ORDER);
      await files.pendingKey(NAME, async () => "key\n");
      await Promise.all(Array.from({ length: 4 }, () => files.discardPending(NAME)));
      expect(existsSync(next(NAME))).toBe(false);
    }
  });

  it("can be put into place by two at once, as when one of them was thought dead", async () => {
    for (let i = 0; i < 20; i++) {
      await files.savePendingOrder(NAME, ORDER);
      await files.pendingKey(NAME, async () => "set key\n");
      const set = { leafPem: "set leaf\n", issuersPem: "set ca\n", file: fileOf(NAME, "set") };
      const results = await Promise.allSettled([files.commit(NAME, set), files.commit(NAME, set)]);
      expect(results.map(({ status }) => status)).toContain("fulfilled");
      await all();
      expect(inPlace(NAME)).toEqual(wholeSet("set"));
      expect(existsSync(next(NAME))).toBe(false);
    }
  });
});

/** What stands in `previous/`, by the set that it is of. */
function kept(name: string): Record<string, string> | undefined {
  const folder = join(files.folder(certificateId(name)), "previous");
  if (!existsSync(folder)) return undefined;
  const read = (file: string): string => readFileSync(join(folder, file), "utf8");
  const { serial } = JSON.parse(read("bundle.json")) as { serial: string };
  const [cert, key] = [read(`${certificateId(name)}.cer`), read(`${certificateId(name)}.key`)];
  return { cert, key, ca: read("ca.cer"), fullchain: read("fullchain.cer"), serial };
}

const bundleOf = (set: string, name = NAME) => ({
  id: certificateId(name),
  names: [name],
  serial: set,
  leafPem: `${set} leaf\n`,
  issuersPem: `${set} ca\n`,
  keyPem: `${set} key\n`,
});

/** The staged files, in the order in which they are moved. */
function moves(): [from: string, to: string][] {
  const { key, cert, ca, fullchain } = files.paths(NAME);
  return [
    [join(next(NAME), "key.pem"), key],
    [join(next(NAME), "cert.pem"), cert],
    [join(next(NAME), "ca.pem"), ca],
    [join(next(NAME), "fullchain.pem"), fullchain],
  ];
}

describe("a bundle", () => {
  it("is the certificate with its key, as a deploy target takes it", async () => {
    expect(await files.bundle(NAME)).toBeUndefined();
    await issue(NAME, "first");
    expect(await files.bundle(NAME)).toEqual(bundleOf("first"));
    await issue("*.example.com", "wild");
    expect(await files.bundle("_.example.com")).toEqual(bundleOf("wild", "*.example.com"));
  });

  it("is there once it was staged as a whole, and not before", async () => {
    stage(NAME, "first", { complete: false });
    expect(await files.bundle(NAME)).toBeUndefined();
    stage(NAME, "first", { complete: true });
    expect(await files.bundle(NAME)).toEqual(bundleOf("first"));
  });

  it("is none without its key, or where no certificate was ever issued", async () => {
    await issue(NAME, "first");
    rmSync(files.paths(NAME).key);
    expect(await files.bundle(NAME)).toBeUndefined();
    const { leaf: _, ...failed } = fileOf("b.example", "");
    await files.saveState("b.example", failed);
    expect(await files.bundle("b.example")).toBeUndefined();
    expect(await files.previousBundle("b.example")).toBeUndefined();
  });

  it("names what the leaf is for, when other names were asked for since", async () => {
    const ca = await makeTestCa();
    try {
      const keyPem = await generateKey("ec256");
      const leafPem = ca.leaf(keyPem, ["DNS:b.example", `DNS:${NAME}`]);
      const { leaf, ...rest } = fileOf(NAME, "0A1B2C3D");
      if (!leaf) throw new Error("no leaf");
      const set = namesKey([NAME, "b.example"]);
      const file = { ...rest, spec: makeSpec([NAME, "new.example"]), leaf: { ...leaf, set } };
      await files.pendingKey(NAME, async () => keyPem);
      await files.commit(NAME, { leafPem, issuersPem: ca.intermediatePem, file });
      expect((await files.bundle(NAME))?.names).toEqual([NAME, "b.example"]);
      await issue(NAME, "next");
      expect((await files.previousBundle(NAME))?.names).toEqual([NAME, "b.example"]);
    } finally {
      ca.stop();
    }
  });

  it("is never of two certificates, when a new one comes while it is read", async () => {
    await issue(NAME, "first");
    const { key } = files.paths(NAME);
    rmSync(key);
    execFileSync("mkfifo", [key]);
    const reading = files.bundle(NAME);
    // There is a reader: it waits for the first key while the second certificate is put into place.
    const pipe = await waitUntil(() => openSync(key, constants.O_WRONLY | constants.O_NONBLOCK));
    await issue(NAME, "second");
    writeSync(pipe, "first key\n");
    closeSync(pipe);
    expect(await reading).toEqual(bundleOf("second"));
  });
});

describe("the certificate before", () => {
  it("is not there for the first one", async () => {
    await issue(NAME, "first");
    expect(await files.previousBundle(NAME)).toBeUndefined();
    expect(kept(NAME)).toBeUndefined();
  });

  it("is kept as a whole, the one right before, for this user alone", async () => {
    await issue(NAME, "first");
    await issue(NAME, "second");
    expect(kept(NAME)).toEqual(wholeSet("first"));
    expect(await files.previousBundle(NAME)).toEqual(bundleOf("first"));
    await issue(NAME, "third");
    expect(await files.previousBundle(NAME)).toEqual(bundleOf("second"));
    expect(await files.bundle(NAME)).toEqual(bundleOf("third"));
    const previous = join(files.folder(NAME), "previous");
    expect(statSync(previous).mode & 0o777).toBe(0o700);
    expect(statSync(join(previous, `${NAME}.key`)).mode & 0o777).toBe(0o600);
    expect(readdirSync(files.folder(NAME)).filter((name) => name.startsWith("."))).toEqual([]);
    expect((await all()).map(({ leaf }) => leaf?.serial)).toEqual(["third"]);
  });

  it("stays when the same certificate is put into place again", async () => {
    await issue(NAME, "first");
    await issue(NAME, "second");
    await issue(NAME, "second");
    expect(await files.previousBundle(NAME)).toEqual(bundleOf("first"));
  });

  it.each([0, 1, 2, 3, 4])("is the old one after a crash in which %d files had been moved", async (moved) => {
    await issue(NAME, "first");
    await issue(NAME, "old");
    // As the process that died had done it: the old set kept first, then the moves.
    const previous = join(files.folder(NAME), "previous");
    const { cert, key, ca, fullchain } = files.paths(NAME);
    rmSync(previous, { recursive: true });
    mkdirSync(previous);
    for (const path of [cert, key, ca, fullchain]) linkSync(path, join(previous, basename(path)));
    writeFileSync(join(previous, "bundle.json"), JSON.stringify({ serial: "old", names: [NAME] }));
    stage(NAME, "new", { complete: true });
    for (const [from, to] of moves().slice(0, moved)) renameSync(from, to);
    await files.finishCommit(NAME);
    expect(inPlace(NAME)).toEqual(wholeSet("new"));
    expect(kept(NAME)).toEqual(wholeSet("old"));
  });

  it.each(["nothing", "a part", "all but its name"])(
    "is the old one after a crash with %s of it kept",
    async (what) => {
      await issue(NAME, "older");
      await issue(NAME, "old");
      stage(NAME, "new", { complete: true });
      const making = join(files.folder(NAME), ".previous-0123456789abcdef");
      if (what !== "nothing") {
        mkdirSync(making);
        linkSync(files.paths(NAME).cert, join(making, `${NAME}.cer`));
      }
      // Between the two renames the one before is under another name.
      if (what === "all but its name") renameSync(join(files.folder(NAME), "previous"), `${making}-old`);
      expect(await files.previousBundle(NAME)).toEqual(bundleOf("old"));
      expect(inPlace(NAME)).toEqual(wholeSet("new"));
      expect(kept(NAME)).toEqual(wholeSet("old"));
    },
  );

  it.each([1, 2, 3, 4])("is never the new one, where %d files were moved and nothing kept", async (moved) => {
    await issue(NAME, "older");
    await issue(NAME, "old");
    stage(NAME, "new", { complete: true });
    for (const [from, to] of moves().slice(0, moved)) renameSync(from, to);
    await files.finishCommit(NAME);
    expect(inPlace(NAME)).toEqual(wholeSet("new"));
    expect(kept(NAME)).toEqual(wholeSet("older"));
  });

  it("is the old one when two put the new one into place at once", async () => {
    await issue(NAME, "0");
    for (let i = 1; i <= 20; i++) {
      await files.pendingKey(NAME, async () => `${i} key\n`);
      const { keyPem: _, ...set } = bundleOf(`${i}`);
      const issued = { ...set, file: fileOf(NAME, `${i}`) };
      await Promise.allSettled([files.commit(NAME, issued), files.commit(NAME, issued)]);
      await all();
      expect(inPlace(NAME)).toEqual(wholeSet(`${i}`));
      expect(kept(NAME)).toEqual(wholeSet(`${i - 1}`));
    }
  });
});

describe("the archive", () => {
  const AT = Date.UTC(2026, 7, 28, 14, 5, 9);

  it("takes a certificate away with all that is in its folder", async () => {
    await issue(NAME, "first");
    await issue(NAME, "second");
    const where = await files.archive(NAME, AT);
    expect(where).toBe(join(home, "archive", "a.example-20260828T140509Z"));
    expect(readFileSync(join(where ?? "", "a.example.key"), "utf8")).toBe("second key\n");
    expect(readFileSync(join(where ?? "", "previous", "a.example.key"), "utf8")).toBe("first key\n");
    expect(statSync(join(home, "archive")).mode & 0o777).toBe(0o700);
    expect([await files.read(NAME), await files.bundle(NAME), await all()]).toEqual([
      undefined,
      undefined,
      [],
    ]);
  });

  it("has nothing to take twice, and takes two of one second", async () => {
    await issue(NAME, "first");
    const first = await files.archive(NAME, AT);
    expect(await files.archive(NAME, AT)).toBeUndefined();
    await issue(NAME, "second");
    const second = await files.archive(NAME, AT);
    expect(second).not.toBe(first);
    expect(readdirSync(join(home, "archive"))).toHaveLength(2);
  });

  it("takes what was staged as a whole", async () => {
    stage(NAME, "first", { complete: true });
    const where = await files.archive(NAME, AT);
    expect(readFileSync(join(where ?? "", "a.example.cer"), "utf8")).toBe("first leaf\n");
  });
});
