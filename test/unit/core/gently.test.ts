import { describe, expect, it } from "vitest";
import { atOnce, gently, type Stepwise } from "../../../src/core/gently.ts";

function* busy(steps: number, each: number): Stepwise<number> {
  for (let step = 0; step < steps; step++) {
    const until = performance.now() + each;
    while (performance.now() < until);
    yield;
  }
  return steps;
}

describe("a long computation", () => {
  it("can be done at one go", () => expect(atOnce(busy(3, 0))).toBe(3));

  it("leaves others their turn", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    expect(await gently(busy(20, 5))).toBe(20);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });

  it("fails as it would at one go", async () => {
    function* broken(): Stepwise<never> {
      yield;
      throw new Error("broken");
    }
    expect(() => atOnce(broken())).toThrow("broken");
    await expect(gently(broken())).rejects.toThrow("broken");
  });
});
