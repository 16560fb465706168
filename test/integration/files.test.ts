/** The certificates on disk: what a crash may leave, and who may read it. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { type CertificateRecord, certificateId } from "../../src/core/certificate.ts";
import { type CertificateFile, CertificateFiles, certificateFile, fileStem } from "../../src/store/files.ts";
import { tempDir } from "../support/temp.ts";

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
