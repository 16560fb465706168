/** Several hosts, each with a home of its own, on one Redis and with one store key. */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CertificateRecord } from "../../src/core/certificate.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { type CertificateFile, certificateFile } from "../../src/store/files.ts";
import { keys } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { Removals } from "../../src/store/removals.ts";
import { openStores } from "../../src/store/stores.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { makeSpec } from "../support/specs.ts";
import { tempDir } from "../support/temp.ts";

const NOW = Date.UTC(2026, 7, 28, 14, 0, 0);
const NAME = "a.example";
const KEY = randomBytes(32);

let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis({ appendOnly: true });
  redis = server.client();
}, 120_000);

afterAll(async () => {
  await server.stop();
});

interface Host extends ReturnType<typeof openStores> {
  home: string;
}

function host(key = KEY, home = tempDir("certherd-host")): Host {
  return { home, ...openStores(home, redis, key) };
}

/** The same host after its process has died. */
const again = ({ home }: Host): Host => host(KEY, home);

let a: Host;
let b: Host;

beforeEach(async () => {
  await redis.flushall();
  [a, b] = [host(), host()];
});

const orderOf = (generation: number) => ({
  generation,
  orderUrl: `https://ca/order/${generation}`,
  ca: "inhouse",
});

function fileOf(generation: number, more: Partial<CertificateRecord> = {}): CertificateFile {
  const at = NOW + generation * 1_000;
  const leaf = { notBefore: at, notAfter: at + 90_000, issuer: "E7", renewAt: at + 60_000 };
  const record: CertificateRecord = {
    id: NAME,
    spec: makeSpec(NAME),
    status: "issued",
    attempts: 0,
    generation,
    acceptedAt: NOW,
    leaf: { ...leaf, serial: `0${generation}`, issuedAt: at, generation },
    ...more,
  };
  return certificateFile(record, { directory: "https://ca/dir", ...orderOf(generation) });
}

const issuedOf = (generation: number) => ({
  leafPem: `leaf ${generation}\n`,
  issuersPem: `ca ${generation}\n`,
  file: fileOf(generation),
});

/** Orders and obtains a certificate, as issuing does it on one host. */
async function issue({ certificates }: Host, generation: number): Promise<string> {
  await certificates.discardPending(NAME);
  await certificates.savePendingOrder(NAME, orderOf(generation));
  const key = await certificates.pendingKey(NAME, () => generateKey("ec256"));
  await certificates.commit(NAME, issuedOf(generation));
  return key;
}

/** What is on a host's own disk, whatever the others have. */
function disk({ home }: Host): { serial: string | undefined; cert: string; key: string } | undefined {
  const folder = join(home, "certificates", NAME);
  if (!existsSync(join(folder, "certificate.json"))) return undefined;
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  const file = JSON.parse(read("certificate.json")) as CertificateFile;
  return { serial: file.leaf?.serial, cert: read(`${NAME}.cer`), key: read(`${NAME}.key`) };
}

const never = async (): Promise<string> => {
  throw new Error("No key is to be made here.");
};

describe("a certificate that one host has issued", () => {
  it("is there for the other one, which has it on its disk from then on", async () => {
    const key = await issue(a, 1);
    expect(disk(b)).toBeUndefined();
    const bundle = { id: NAME, names: [NAME], serial: "01", leafPem: "leaf 1\n", issuersPem: "ca 1\n" };
    expect(await b.certificates.bundle(NAME)).toEqual({ ...bundle, keyPem: key });
    expect(await b.certificates.read(NAME)).toEqual(fileOf(1));
    expect(disk(b)).toEqual(disk(a));
    expect(statSync(b.certificates.paths(NAME).key).mode & 0o777).toBe(0o600);
    expect(await b.certificates.previousBundle(NAME)).toBeUndefined();
    await redis.flushall();
    expect(await again(b).certificates.bundle(NAME)).toEqual({ ...bundle, keyPem: key });
  });

  it("may be renewed by the other one, with the one before kept on both", async () => {
    const first = await issue(a, 1);
    await b.certificates.bundle(NAME);
    const second = await issue(b, 2);
    expect(second).not.toBe(first);
    expect(await a.certificates.read(NAME)).toEqual(fileOf(2));
    expect(disk(a)).toEqual({ serial: "02", cert: "leaf 2\n", key: second });
    for (const { certificates } of [a, b]) {
      expect(await certificates.bundle(NAME)).toMatchObject({ serial: "02", keyPem: second });
      expect(await certificates.previousBundle(NAME)).toMatchObject({ serial: "01", keyPem: first });
    }
  });

  it("has the same one before it on a host that has seen neither", async () => {
    const [first, second] = [await issue(a, 1), await issue(a, 2)];
    await b.certificates.read(NAME);
    await redis.flushall();
    const { certificates } = again(b);
    expect(await certificates.previousBundle(NAME)).toMatchObject({ serial: "01", keyPem: first });
    expect(await certificates.bundle(NAME)).toMatchObject({ serial: "02", keyPem: second });
  });

  it("has the right one before it on a host that has missed one", async () => {
    await issue(a, 1);
    await b.certificates.read(NAME);
    const second = await issue(a, 2);
    await issue(a, 3);
    expect(await b.certificates.bundle(NAME)).toMatchObject({ serial: "03" });
    expect(await b.certificates.previousBundle(NAME)).toMatchObject({ serial: "02", keyPem: second });
  });

  it("stands as whichever host has settled it last says", async () => {
    await issue(a, 1);
    await b.certificates.read(NAME);
    const paused = fileOf(1, { status: "paused", reason: "person" });
    await b.certificates.saveState(NAME, paused);
    expect(await a.certificates.read(NAME)).toEqual(paused);
    await a.certificates.saveState(NAME, fileOf(1));
    expect(await b.certificates.read(NAME)).toEqual(fileOf(1));
    expect(await b.certificates.bundle(NAME)).toMatchObject({ serial: "01" });
  });

  it("is not put back by a host that has not heard of its renewal", async () => {
    await issue(a, 1);
    await b.certificates.read(NAME);
    await issue(b, 2);
    await a.certificates.saveState(NAME, fileOf(1, { status: "attention", reason: "person" }));
    expect(await b.certificates.read(NAME)).toEqual(fileOf(2));
    expect(disk(a)?.serial).toBe("02");
  });

  it("that failed before it was ever issued is known to both", async () => {
    const { leaf: _, ...failed } = fileOf(1, { status: "attention", reason: "person" });
    await a.certificates.saveState(NAME, failed);
    expect(await b.certificates.read(NAME)).toEqual(failed);
    expect(await b.certificates.bundle(NAME)).toBeUndefined();
  });

  it("comes from the disk of whoever has it, when Redis was lost or the key is new", async () => {
    const alone = openStores(a.home, redis, undefined).certificates;
    await alone.pendingKey(NAME, async () => "own key\n");
    await alone.commit(NAME, issuedOf(1));
    expect(await b.certificates.read(NAME)).toBeUndefined();
    const told: CertificateFile[] = [];
    for await (const file of a.certificates.all()) told.push(file);
    expect(told).toEqual([fileOf(1)]);
    expect(await b.certificates.bundle(NAME)).toMatchObject({ serial: "01", keyPem: "own key\n" });
  });

  it("is the newest one, whichever host tells of it first after Redis was lost", async () => {
    await issue(a, 1);
    await b.certificates.read(NAME);
    const second = await issue(b, 2);
    await redis.flushall();
    expect((await again(a).certificates.read(NAME))?.leaf?.serial).toBe("01");
    expect((await again(b).certificates.read(NAME))?.leaf?.serial).toBe("02");
    expect(await again(a).certificates.bundle(NAME)).toMatchObject({ serial: "02", keyPem: second });
  });
});

describe("an order", () => {
  it("is gone on with by the other host, with the same key", async () => {
    await a.certificates.savePendingOrder(NAME, orderOf(1));
    const key = await a.certificates.pendingKey(NAME, () => generateKey("ec256"));
    expect(await b.certificates.pendingOrder(NAME)).toEqual(orderOf(1));
    expect(await b.certificates.existingPendingKey(NAME)).toBe(key);
    expect(await b.certificates.pendingKey(NAME, never)).toBe(key);
    await b.certificates.commit(NAME, issuedOf(1));
    expect(disk(b)).toEqual({ serial: "01", cert: "leaf 1\n", key });
    expect(await a.certificates.bundle(NAME)).toMatchObject({ keyPem: key });
    expect(await a.certificates.existingPendingKey(NAME)).toBeUndefined();
  });

  it("has one key over all hosts, whoever of many asks first", async () => {
    const hosts = Array.from({ length: 6 }, () => host());
    let made = 0;
    const drawn = hosts.flatMap(({ certificates }) =>
      [1, 2].map(() => certificates.pendingKey(NAME, async () => `key ${made++}\n`)),
    );
    const found = new Set(await Promise.all(drawn));
    expect(found.size).toBe(1);
    for (const { home } of hosts)
      expect(found).toContain(readFileSync(join(home, "certificates", NAME, ".next", "key.pem"), "utf8"));
  });

  it("that was given up is given up everywhere, with its key", async () => {
    await a.certificates.savePendingOrder(NAME, orderOf(1));
    await a.certificates.pendingKey(NAME, async () => "given up\n");
    await b.certificates.discardPending(NAME);
    await b.certificates.savePendingOrder(NAME, orderOf(2));
    expect(await a.certificates.pendingOrder(NAME)).toEqual(orderOf(2));
    expect(await a.certificates.existingPendingKey(NAME)).toBeUndefined();
    expect(await a.certificates.pendingKey(NAME, async () => "new\n")).toBe("new\n");
    expect(await b.certificates.pendingKey(NAME, never)).toBe("new\n");
    await a.certificates.commit(NAME, issuedOf(2));
    expect(disk(a)?.key).toBe("new\n");
  });

  it("is taken up from the disk when Redis was lost", async () => {
    await a.certificates.savePendingOrder(NAME, orderOf(1));
    await a.certificates.pendingKey(NAME, async () => "drawn before\n");
    await redis.flushall();
    const { certificates } = again(a);
    expect(await certificates.pendingOrder(NAME)).toEqual(orderOf(1));
    expect(await certificates.existingPendingKey(NAME)).toBe("drawn before\n");
    expect(await certificates.pendingKey(NAME, never)).toBe("drawn before\n");
    expect(await b.certificates.existingPendingKey(NAME)).toBe("drawn before\n");
  });

  it("whose host died between its disk and the vault is put into place by the other one", async () => {
    await issue(a, 1);
    await a.certificates.savePendingOrder(NAME, orderOf(2));
    const key = await a.certificates.pendingKey(NAME, () => generateKey("ec256"));
    // What was written to Redis of it is lost; the pending key was not let go of.
    await openStores(a.home, redis, undefined).certificates.commit(NAME, issuedOf(2));
    expect(await b.certificates.existingPendingKey(NAME)).toBe(key);
    await b.certificates.commit(NAME, issuedOf(2));
    for (const { certificates } of [a, b]) {
      expect(await certificates.bundle(NAME)).toMatchObject({ serial: "02", keyPem: key });
      expect(await certificates.previousBundle(NAME)).toMatchObject({ serial: "01" });
    }
  });

  it("that a host comes back to too late changes nothing", async () => {
    await a.certificates.savePendingOrder(NAME, orderOf(1));
    await a.certificates.pendingKey(NAME, async () => "first\n");
    expect(await b.certificates.existingPendingKey(NAME)).toBe("first\n");
    await a.certificates.commit(NAME, issuedOf(1));
    const second = await issue(a, 2);
    await b.certificates.commit(NAME, issuedOf(1));
    for (const one of [a, b]) expect(disk(one)).toEqual({ serial: "02", cert: "leaf 2\n", key: second });
    expect(await b.certificates.previousBundle(NAME)).toMatchObject({ serial: "01", keyPem: "first\n" });
  });

  it("that two hosts put into place leaves one set, with its own key", async () => {
    for (let generation = 1; generation <= 10; generation++) {
      await a.certificates.savePendingOrder(NAME, orderOf(generation));
      const key = await a.certificates.pendingKey(NAME, async () => `key ${generation}\n`);
      await Promise.all([a, b].map(({ certificates }) => certificates.commit(NAME, issuedOf(generation))));
      for (const one of [a, b]) {
        expect(await one.certificates.bundle(NAME)).toMatchObject({ serial: `0${generation}`, keyPem: key });
        expect(disk(one)).toMatchObject({ cert: `leaf ${generation}\n`, key });
        const before = await one.certificates.previousBundle(NAME);
        expect(before?.keyPem).toBe(generation === 1 ? undefined : `key ${generation - 1}\n`);
      }
    }
  });
});

describe("a certificate that was archived", () => {
  const LATER = NOW + 3_600_000;

  it("goes from the other hosts too, and does not come back from their disks", async () => {
    await issue(a, 1);
    await b.certificates.bundle(NAME);
    await a.certificates.archive(NAME, LATER);
    expect(await b.shared?.certificates.catchUp()).toBe(1);
    expect(await b.shared?.certificates.catchUp()).toBe(0);
    expect([disk(a), disk(b)]).toEqual([undefined, undefined]);
    expect(readdirSync(join(b.home, "archive"))).toHaveLength(1);
    expect((await new Removals(b.home).load()).get(NAME)).toBe(LATER);
    await redis.flushall();
    for (const one of [again(a), again(b)]) expect(await one.certificates.bundle(NAME)).toBeUndefined();
  });

  it("is found out when the other host reads it first", async () => {
    await issue(a, 1);
    await b.certificates.bundle(NAME);
    await a.certificates.archive(NAME, LATER);
    expect(await b.certificates.read(NAME)).toBeUndefined();
    expect(disk(b)).toBeUndefined();
    expect((await new Removals(b.home).load()).get(NAME)).toBe(LATER);
    await b.certificates.saveState(NAME, fileOf(1, { status: "attention" }));
    expect(await a.certificates.read(NAME)).toBeUndefined();
  });

  it("can be there again", async () => {
    await issue(a, 1);
    await b.certificates.bundle(NAME);
    await a.certificates.archive(NAME, NOW + 1_500);
    await issue(a, 2);
    expect(await b.shared?.certificates.catchUp()).toBe(0);
    expect(await b.certificates.bundle(NAME)).toMatchObject({ serial: "02" });
    expect(disk(b)?.serial).toBe("02");
  });
});

describe("the account", () => {
  const ACCOUNT = {
    directory: "https://ca/dir",
    url: "https://ca/acct/1",
    contact: [],
    registeredAt: "2026",
  };

  it("is one for all hosts, each with a copy of it", async () => {
    const drawn = await Promise.all(
      [a, b].map(({ accounts }, i) => accounts.key("inhouse", async () => `key ${i}\n`)),
    );
    expect(new Set(drawn).size).toBe(1);
    await a.accounts.save("inhouse", ACCOUNT);
    expect(await b.accounts.load("inhouse")).toEqual(ACCOUNT);
    await redis.flushall();
    const alone = openStores(b.home, redis, undefined).accounts;
    expect(await alone.load("inhouse")).toEqual(ACCOUNT);
    expect(await alone.key("inhouse", never)).toBe(drawn[0]);
    expect(await again(b).accounts.key("inhouse", never)).toBe(drawn[0]);
    expect(await a.accounts.key("inhouse", never)).toBe(drawn[0]);
  });

  it("of the first host stands; that of another one is used no more, but its key is kept", async () => {
    for (const [{ home }, own] of [
      [a, "a's"],
      [b, "b's"],
    ] as const) {
      const alone = openStores(home, redis, undefined).accounts;
      await alone.key("inhouse", async () => own);
      await alone.save("inhouse", { ...ACCOUNT, url: `https://ca/acct/${own}` });
    }
    expect(await a.accounts.key("inhouse", never)).toBe("a's");
    expect(await b.accounts.key("inhouse", never)).toBe("a's");
    expect((await b.accounts.load("inhouse"))?.url).not.toBe("https://ca/acct/b's");
    expect((await a.accounts.load("inhouse"))?.url).toBe("https://ca/acct/a's");
    expect((await b.accounts.load("inhouse"))?.url).toBe("https://ca/acct/a's");
    const folder = join(b.home, "accounts", "inhouse");
    const kept = readdirSync(folder).filter((name) => /^account-.*\.key$/.test(name));
    expect(kept.map((name) => readFileSync(join(folder, name), "utf8"))).toEqual(["b's"]);
    expect(readFileSync(b.accounts.keyPath("inhouse"), "utf8")).toBe("a's");
  });

  it("that the CA has forgotten is forgotten by all", async () => {
    await a.accounts.key("inhouse", async () => "key\n");
    await a.accounts.save("inhouse", ACCOUNT);
    await b.accounts.forget("inhouse");
    expect(await b.accounts.load("inhouse")).toBeUndefined();
    expect(await b.accounts.key("inhouse", never)).toBe("key\n");
  });
});

describe("Redis", () => {
  it("holds no key that could be read, not in its file either", async () => {
    const key = await issue(a, 1);
    const second = await issue(b, 2);
    await a.accounts.key("inhouse", () => generateKey("ec256"));
    await b.certificates.savePendingOrder(NAME, orderOf(3));
    await b.certificates.pendingKey(NAME, () => generateKey("rsa2048"));
    for (const pem of [key, second]) expect(pem).toContain("PRIVATE KEY");
    const names = await redis.keys("*");
    expect(names).toContain(keys.vault(`certificate/${NAME}`));
    const body = (pem: string): string => pem.split("\n")[1] ?? "";
    const secrets = [
      "PRIVATE KEY",
      "PRIVATE",
      body(key),
      body(second),
      KEY.toString("base64"),
      KEY.toString("hex"),
    ];
    for (const name of names) {
      const value = await redis.dump(name);
      for (const secret of secrets) expect(`${name} ${value}`).not.toContain(secret);
      if ((await redis.type(name)) === "string")
        for (const secret of secrets) expect((await redis.getBuffer(name))?.includes(secret)).toBe(false);
    }
    await redis.config("SET", "appendfsync", "always");
    await redis.set("marker", "the last one");
    const files = readdirSync(server.dir, { recursive: true, encoding: "utf8" })
      .map((name) => join(server.dir, name))
      .filter((path) => statSync(path).isFile());
    const content = Buffer.concat(files.map((path) => readFileSync(path)));
    expect(content.includes("the last one")).toBe(true);
    expect(content.includes(keys.vault(`certificate/${NAME}`))).toBe(true);
    for (const secret of secrets) expect(content.includes(secret)).toBe(false);
  });

  it("is not asked for anything without a store key", async () => {
    const alone = openStores(tempDir("certherd-alone"), redis, undefined);
    expect(alone.shared).toBeUndefined();
    await alone.certificates.pendingKey(NAME, async () => "key\n");
    await alone.certificates.commit(NAME, issuedOf(1));
    await alone.certificates.bundle(NAME);
    await alone.certificates.archive(NAME, NOW);
    await alone.accounts.key("inhouse", async () => "key\n");
    expect(await redis.dbsize()).toBe(0);
  });
});

describe("a host with another key", () => {
  it("reads nothing, and harms nothing", async () => {
    await issue(a, 1);
    const stranger = host(randomBytes(32));
    const refused = expect.objectContaining({ code: "store_key_wrong", disposition: "usage" });
    await expect(stranger.shared?.vault.check()).rejects.toEqual(refused);
    await expect(stranger.certificates.bundle(NAME)).rejects.toEqual(refused);
    await expect(stranger.certificates.pendingKey("b.example", never)).rejects.toThrow();
    expect(disk(stranger)).toBeUndefined();
    expect(await b.certificates.bundle(NAME)).toMatchObject({ serial: "01" });
  });

  it("cannot be given another certificate's entry", async () => {
    await issue(a, 1);
    await redis.rename(keys.vault(`certificate/${NAME}`), keys.vault("certificate/b.example"));
    const refused = expect.objectContaining({ code: "store_damaged" });
    await expect(b.certificates.bundle("b.example")).rejects.toEqual(refused);
    await redis.rename(keys.vault("certificate/b.example"), keys.vault(`certificate/${NAME}`));
  });

  it("and a damaged entry is written again by the host that has its files, and by no other", async () => {
    await issue(a, 1);
    await redis.setrange(keys.vault(`certificate/${NAME}`), 20, "damaged");
    const refused = expect.objectContaining({ code: "store_damaged" });
    await expect(b.certificates.bundle(NAME)).rejects.toEqual(refused);
    // Where it stands is not written over it: the other host's certificate must not be lost for that.
    await b.certificates.saveState(NAME, fileOf(1, { status: "attention" }));
    const told: CertificateFile[] = [];
    for await (const file of a.certificates.all()) told.push(file);
    expect(told).toEqual([fileOf(1)]);
    expect(await b.certificates.bundle(NAME)).toMatchObject({ serial: "01" });
  });
});

describe("a key that has gone from a host's disk", () => {
  it("stays in the vault for the others", async () => {
    await issue(a, 1);
    rmSync(a.certificates.paths(NAME).key);
    writeFileSync(a.certificates.paths(NAME).json, JSON.stringify(fileOf(1, { acceptedAt: NOW + 1 })));
    await a.certificates.read(NAME);
    expect(await b.certificates.bundle(NAME)).toMatchObject({ serial: "01" });
  });
});
