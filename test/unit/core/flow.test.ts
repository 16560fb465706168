import { describe, expect, it } from "vitest";
import { Cache } from "../../../src/core/flow.ts";

function build(most = 10) {
  const time = { now: 0 };
  const cache = new Cache<string>({ now: () => time.now }, { lifetime: 100, failureLifetime: 10, most });
  const fetched: string[] = [];
  const get = (key: string, isGood = true) =>
    cache.get(key, async () => {
      fetched.push(key);
      if (isGood) return key;
      throw new Error(key);
    });
  return { time, get, fetched };
}

describe("the cache of answers", () => {
  it("fetches once for all who ask meanwhile, and until the answer is old", async () => {
    const { time, get, fetched } = build();
    expect(await Promise.all([get("a"), get("a"), get("a")])).toEqual(["a", "a", "a"]);
    time.now = 99;
    await get("a");
    expect(fetched).toEqual(["a"]);
    time.now = 100;
    await get("a");
    expect(fetched).toEqual(["a", "a"]);
  });

  it("keeps a failure for a moment only", async () => {
    const { time, get, fetched } = build();
    await expect(get("a", false)).rejects.toThrow("a");
    await expect(get("a")).rejects.toThrow("a");
    time.now = 10;
    expect(await get("a")).toBe("a");
    expect(fetched).toEqual(["a", "a"]);
  });

  it("lets the oldest go", async () => {
    const { get, fetched } = build(2);
    for (const key of ["a", "b", "c", "c", "b", "a"]) await get(key);
    expect(fetched).toEqual(["a", "b", "c", "a"]);
  });
});
