import { describe, expect, it } from "vitest";
import { NoncePool } from "../../../src/acme/nonces.ts";

describe("NoncePool", () => {
  it("gives each nonce once, the newest first", () => {
    const pool = new NoncePool();
    for (const nonce of ["a", "b", "c"]) pool.give(nonce, 0);
    expect([pool.take(1), pool.take(1), pool.take(1), pool.take(1)]).toEqual(["c", "b", "a", undefined]);
  });

  it("gives none that is older than a minute, and forgets all older ones with it", () => {
    const pool = new NoncePool();
    pool.give("old", 0);
    pool.give("young", 10_000);
    expect(pool.take(70_000)).toBe("young");
    expect(pool.take(70_000)).toBeUndefined();
    pool.give("new", 70_000);
    expect([pool.take(70_000), pool.take(70_000)]).toEqual(["new", undefined]);
  });

  it("holds no more than 128, dropping the oldest", () => {
    const pool = new NoncePool();
    for (let i = 0; i < 200; i++) pool.give(`n${i}`, i);
    const taken: (string | undefined)[] = [];
    for (let next = pool.take(200); next !== undefined; next = pool.take(200)) taken.push(next);
    expect(taken).toHaveLength(128);
    expect([taken.at(0), taken.at(-1)]).toEqual(["n199", "n72"]);
  });
});
