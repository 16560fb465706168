/** Secrets in Redis: encrypted, each bound to its name, and of no use with another key. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { keys, PREFIX } from "../../src/store/keys.ts";
import type { Redis } from "../../src/store/redis.ts";
import { Vault } from "../../src/store/vault.ts";
import { withRedis } from "../support/with-redis.ts";

const KEY = randomBytes(32);
const SECRET = "-----BEGIN PRIVATE KEY-----\nMIGH…\n-----END PRIVATE KEY-----\n";

let redis: Redis;
let vault: Vault;

withRedis((client) => {
  redis = client;
  vault = new Vault(redis, KEY);
});

const otherKey = () => new Vault(redis, randomBytes(32));
const wrong = expect.objectContaining({ code: "store_key_wrong", disposition: "usage" });
const damaged = expect.objectContaining({ code: "store_damaged", disposition: "attention" });

async function sealed(name: string): Promise<Buffer> {
  const value = await redis.getBuffer(keys.vault(name));
  if (value === null) throw new Error(`${name} is not there.`);
  return value;
}

describe("an entry", () => {
  it("is what was put there, for whoever has the key", async () => {
    expect(await vault.get("key/a.example")).toBeUndefined();
    await vault.put("key/a.example", SECRET);
    await vault.put("key/b.example", "ü\n");
    expect(await vault.get("key/a.example")).toBe(SECRET);
    const another = new Vault(redis, Buffer.from(KEY));
    await another.check();
    expect(await another.get("key/b.example")).toBe("ü\n");
    await vault.put("key/a.example", "");
    expect(await another.get("key/a.example")).toBe("");
    await vault.delete("key/a.example", "key/b.example");
    expect(await another.get("key/a.example")).toBeUndefined();
  });

  it("is not the same twice, and tells nothing", async () => {
    await vault.put("key/a.example", SECRET);
    const first = await sealed("key/a.example");
    await vault.delete("key/a.example");
    await vault.put("key/a.example", SECRET);
    const second = await sealed("key/a.example");
    expect(first.equals(second)).toBe(false);
    expect(first.subarray(1, 13).equals(second.subarray(1, 13))).toBe(false);
    for (const name of await redis.keys(`${PREFIX}*`))
      expect((await redis.getBuffer(name))?.includes("PRIVATE KEY")).toBe(false);
  });

  it("has one value, whoever of many comes first", async () => {
    const vaults = Array.from({ length: 20 }, () => new Vault(redis, KEY));
    const values = await Promise.all(vaults.map((one, i) => one.putIfAbsent("key/a.example", `${i}`)));
    expect(new Set(values).size).toBe(1);
    expect(await vault.get("key/a.example")).toBe(values[0]);
    expect(await vault.putIfAbsent("key/a.example", "another")).toBe(values[0]);
  });

  it("loses no change of many that come at once", async () => {
    const add = () => vault.update("count/a", (before) => `${Number(before ?? 0) + 1}`);
    await Promise.all(Array.from({ length: 20 }, add));
    expect(await vault.get("count/a")).toBe("20");
  });

  it("is not written where nothing changes", async () => {
    expect(await vault.update("key/a.example", () => undefined)).toBeUndefined();
    expect(await redis.exists(keys.vault("key/a.example"))).toBe(0);
    await vault.put("key/a.example", "one");
    const before = await sealed("key/a.example");
    expect(await vault.update("key/a.example", (value) => value)).toBe("one");
    expect((await sealed("key/a.example")).equals(before)).toBe(true);
  });
});

describe("what was not written so is refused", () => {
  it("an entry under another one's name", async () => {
    await vault.put("key/a.example", "a's");
    await vault.put("key/b.example", "b's");
    await redis.set(keys.vault("key/b.example"), await sealed("key/a.example"));
    expect(await vault.get("key/a.example")).toBe("a's");
    await expect(vault.get("key/b.example")).rejects.toEqual(damaged);
    await expect(vault.putIfAbsent("key/b.example", "new")).rejects.toEqual(damaged);
  });

  it("the check value as an entry", async () => {
    await vault.check();
    await redis.copy(keys.vaultCheck, keys.vault("key/a.example"));
    await expect(vault.get("key/a.example")).rejects.toEqual(damaged);
  });

  it.each([
    ["a byte of its version", (value: Buffer) => flipped(value, 0)],
    ["a byte of its nonce", (value: Buffer) => flipped(value, 1)],
    ["a byte of its content", (value: Buffer) => flipped(value, 13)],
    ["the last byte", (value: Buffer) => flipped(value, value.length - 1)],
    ["its end", (value: Buffer) => value.subarray(0, -1)],
    ["nearly all", (value: Buffer) => value.subarray(0, 5)],
    ["all", () => Buffer.alloc(0)],
  ])("an entry that has lost or changed %s", async (_, change) => {
    await vault.put("key/a.example", "a's");
    await redis.set(keys.vault("key/a.example"), change(await sealed("key/a.example")));
    await expect(vault.get("key/a.example")).rejects.toEqual(damaged);
    await expect(vault.get("key/a.example")).rejects.toThrow(keys.vault("key/a.example"));
  });
});

describe("another key", () => {
  it("is told at the start, and changes nothing", async () => {
    await vault.check();
    await vault.check();
    await expect(otherKey().check()).rejects.toEqual(wrong);
    await expect(otherKey().check()).rejects.toThrow(/CERTHERD_STORE_KEY/);
    await vault.check();
  });

  it("reads nothing, and writes over nothing", async () => {
    await vault.put("key/a.example", SECRET);
    await expect(otherKey().get("key/a.example")).rejects.toEqual(wrong);
    await expect(otherKey().put("key/a.example", "other")).rejects.toEqual(wrong);
    await expect(otherKey().putIfAbsent("key/a.example", "other")).rejects.toEqual(wrong);
    expect(await vault.get("key/a.example")).toBe(SECRET);
  });

  it("is found out where Redis was emptied under those who write to it", async () => {
    await vault.check();
    await redis.flushall();
    await vault.put("key/a.example", SECRET);
    await expect(otherKey().check()).rejects.toEqual(wrong);
    await vault.check();
  });
});

function flipped(value: Buffer, at: number): Buffer {
  const copy = Buffer.from(value);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
