import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Loop } from "../../../src/dashboard/data/loop.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A loop whose answers take 3 s each, and what became of it. */
function watched({ every, fails = () => false }: { every?: number; fails?: () => boolean } = {}) {
  const seen = { asked: 0, answers: [] as number[], failures: 0, hidden: false };
  const loop = new Loop<number>({
    load: async () => {
      const number = ++seen.asked;
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      if (fails()) throw new Error("no");
      return number;
    },
    every: () => every,
    onAnswer: (answer) => void seen.answers.push(answer),
    onFailure: () => {
      seen.failures++;
      return true;
    },
    isHidden: () => seen.hidden,
  });
  return { loop, seen };
}

it("is not kept from an answer by those who want a newer one all the time", async () => {
  const { loop, seen } = watched();
  for (let second = 0; second < 10; second++) {
    void loop.ask();
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(seen.answers).toEqual([1, 2, 3]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(seen.answers).toEqual([1, 2, 3, 4, 5]);
});

it("asks again in its time, and sooner where that has failed", async () => {
  let broken = true;
  const { loop, seen } = watched({ every: 30_000, fails: () => broken });
  void loop.ask();
  await vi.advanceTimersByTimeAsync(8_500);
  expect([seen.asked, seen.failures]).toEqual([2, 1]);
  broken = false;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(seen.answers).toEqual([2]);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(seen.answers).toEqual([2, 3]);
  loop.end();
  await vi.advanceTimersByTimeAsync(100_000);
  expect(seen.asked).toBe(3);
});

it("waits while nobody looks, and asks once when somebody does", async () => {
  const { loop, seen } = watched({ every: 10_000 });
  void loop.ask();
  await vi.advanceTimersByTimeAsync(5_000);
  seen.hidden = true;
  await vi.advanceTimersByTimeAsync(100_000);
  void loop.ask();
  expect(seen.asked).toBe(1);
  seen.hidden = false;
  void loop.wake();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(seen.answers).toEqual([1, 2]);
});

it("tells nobody who has left", async () => {
  const { loop, seen } = watched();
  void loop.ask();
  loop.end();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([seen.answers, seen.failures]).toEqual([[], 0]);
});
